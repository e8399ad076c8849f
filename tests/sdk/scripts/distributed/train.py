"""Every rank adds its number and one to those of all others."""

import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
total = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(total)
print(
    f"rank {dist.get_rank()} of {dist.get_world_size()} on {os.environ['SM_CURRENT_HOST']}: {total.item():.0f}",
    flush=True,
)
with open(f"{os.environ['SM_MODEL_DIR']}/rank-{dist.get_rank()}", "w") as file:
    file.write(f"{total.item():.0f}")
dist.destroy_process_group()

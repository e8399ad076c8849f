#!/bin/sh
# One group runs this under mpirun, the other by itself.
if [ -n "$OMPI_COMM_WORLD_RANK" ]; then
    printf "rank %s of %s" "$OMPI_COMM_WORLD_RANK" "$OMPI_COMM_WORLD_SIZE" > "$SM_MODEL_DIR/$SM_CURRENT_HOST"
else
    printf alone > "$SM_MODEL_DIR/$SM_CURRENT_HOST"
fi

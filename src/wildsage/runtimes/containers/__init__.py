"""Containers of a container engine (Docker, Podman), for any image: see docs/design/containers.md."""

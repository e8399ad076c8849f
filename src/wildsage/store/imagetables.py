"""The tables of container images: their manifests, tags, layers, and uploads of layers under way.

``repository`` is the uid of its resource, so one that is made anew under the same name is empty.  A layer belongs to a
repository, as in ECR; repositories of one registry (an account's in a region) share the blob behind the same digest.
Manifests are small (4 MiB at most) and live in the database.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, LargeBinary, PrimaryKeyConstraint, Table, Text

from wildsage.store.database import metadata

layers = Table(
    "image_layers",
    metadata,
    Column("repository", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("registry", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("blob", Text, nullable=False, index=True),
    Column("touched", Float, nullable=False),
    PrimaryKeyConstraint("repository", "digest"),
    Index("image_layers_digest", "registry", "digest"),
)

uploads = Table(
    "image_uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repository", Text, nullable=False, index=True),
    Column("touched", Float, nullable=False),
)

pieces = Table(
    "image_pieces",
    metadata,
    Column("upload", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("blob", Text, nullable=False),
    PrimaryKeyConstraint("upload", "first"),
)

images = Table(
    "images",
    metadata,
    Column("repository", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("artifact_type", Text, nullable=False),
    Column("subject", Text),
    Column("size", BigInteger, nullable=False),
    Column("pushed", Float, nullable=False),
    Column("pulled", Float),
    Column("manifest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("repository", "digest"),
    Index("images_subject", "repository", "subject", "digest"),
)

tags = Table(
    "image_tags",
    metadata,
    Column("repository", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("digest", Text, nullable=False),
    PrimaryKeyConstraint("repository", "tag"),
    Index("image_tags_digest", "repository", "digest"),
)

# What a manifest names: layers and its configuration, or the manifests of a list. ``kind``: LAYER or IMAGE.
references = Table(
    "image_references",
    metadata,
    Column("repository", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("repository", "image", "target"),
    Index("image_references_target", "repository", "target"),
)
LAYER, IMAGE = "layer", "image"

"""Small trainings: an epoch takes a few milliseconds."""

# Every recipe changes the quickstart, whose protocol has validation classes.
SMALL = {
    "data.image_size": 16,
    "data.resize": 18,
    "batch.classes": 4,
    "batch.images_per_class": 4,
    "model.embedding_dim": 16,
    "evaluation.batch_size": 64,
}
SYNTHETIC = {**SMALL, "data.classes": 16, "data.images_per_class": 8}

LOSSES = {
    "hphn-loop": {"loss.name": "hphn-triplet", "negatives.name": "loop"},
    "ms-ee": {"loss.name": "multi-similarity", "negatives.name": "embedding-expansion"},
}


def folder(root):
    """The configuration for a folder of images."""
    return {**SMALL, "data.dataset": "folder", "data.root": str(root)}


def options(settings):
    """`--set KEY=VALUE` for every setting."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def default_binary():
    """The release build of this repository."""
    import os
    import pathlib

    repository = pathlib.Path(__file__).resolve().parents[2]
    target = os.environ.get("CARGO_TARGET_DIR", repository / "target")
    return pathlib.Path(target) / "release" / "loop-dml"

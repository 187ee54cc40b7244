"""What the run is given: weights, pictures, the user's folder, and the preprocessing of the installed libraries.

What downloads and decodes is imported within functions: a test worker needs the names alone.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from vitgate.observe.environment import environment
from vitgate.observe.observer import LocalObserver, Observation, observation
from vitgate.observe.session_directory import counting
from vitgate.spec.cases import LIBRARY_ADVICE, missing_processor, OwnCase, read_cases
from vitgate.spec.outcome import Evidence, NO_TOOLS, Outcome


@observation(required=True)
def source(observer: LocalObserver, case: str) -> Evidence:
    """Return where the weights come from: kind, path, note. Needs no torch."""
    from vitgate.inputs.sources import weights_source

    return weights_source(read_cases()[case], observer.plan.request_for(case))


@observation(required=True)
def reference(observer: LocalObserver, case: str) -> Evidence:
    """Return where the reference picture comes from: path, source, sha256, note. Needs no torch."""
    from vitgate.inputs.sources import picture_source

    return picture_source(read_cases()[case], observer.plan.assets, observer.get(source, case).values["kind"])


@observation(required=True)
def weights(observer: LocalObserver, case: str) -> Evidence:
    """Return path, digest, kind and note of the weights. The stand-in alone needs no torch."""
    from vitgate.inputs.sources import source_from
    from vitgate.pipeline.weights_file import weights_of

    found = source_from(observer.get(source, case))
    if found.kind != "standin":
        observer.get(environment)
    return weights_of(read_cases()[case], found, observer.cache)


@observation(required=True)
def pictures(observer: LocalObserver, case: str) -> Evidence:
    """Return the inputs: `x` float32 [N, C, H, W], `labels` int64 [N], and `heldout_x`, `heldout_labels`."""
    observer.get(environment)
    from vitgate.inputs.pictures import pictures_of

    return pictures_of(read_cases()[case], observer.get(reference, case))


INPUTS: tuple[Observation[...], ...] = (source, reference, weights, pictures)
"""What is the same whatever processor the kernels are held to."""


@observation()
def golden(observer: LocalObserver) -> Evidence:
    """Return how far the preprocessing of this torchvision and Pillow is from the golden tensor."""
    observer.get(environment)
    from vitgate.inputs.preprocess import golden_difference

    return Evidence(asdict(golden_difference()))


@observation(required=True)
def calibration(observer: LocalObserver, case: str) -> Evidence:
    """Return `x`, float32 [N, C, H, W], the pictures by which static int8 chooses its scales."""
    from vitgate.inputs.pictures import calibration_pictures

    return Evidence(arrays={"x": calibration_pictures(read_cases()[case], observer.get(pictures, case).demand())})


@observation(required=True)
def golden_inputs(observer: LocalObserver, case: str) -> Evidence:
    """Return the user's golden tensors, `x` float32 [N, C, H, W], and what their file says of pictures and versions.

    UsageError where that is no such file, or one of other pictures.
    """
    from vitgate.inputs.golden_inputs import check_files, PictureFile, read_golden

    row = read_cases()[case]
    assert isinstance(row, OwnCase)
    found = read_golden(row)
    shown = observer.get(pictures, case).demand()
    check_files(row, found.about, [PictureFile(**file) for file in shown.values["files"]])
    return Evidence(found.about.model_dump(mode="json"), {"x": found.x})


@observation()
def image_processor(observer: LocalObserver, case: str) -> Evidence:
    """Return what transformers' own image processors make of the case's pictures; `unsupported` without transformers.

    See `vitgate.inputs.image_processor.processed`.
    """
    row = read_cases()[case]
    if missing := missing_processor(row):
        message = f"{missing} is not installed, whose image processors read the pictures of {case}: {LIBRARY_ADVICE}"
        return Evidence(outcome=Outcome("unsupported", error=NO_TOOLS, message=message))
    observer.get(pictures, case).demand()  # which refuses a file that no other decoder should be given
    from vitgate.inputs.image_processor import processed
    from vitgate.inputs.pictures import picture_paths

    return processed(picture_paths(row, observer.get(reference, case)), row.input)


@observation(required=True)
def labelled(observer: LocalObserver) -> Evidence:
    """Return what is in the folder of `--images`: `labels` int64 [N], names, classes, digest of the contents."""
    from vitgate.inputs.picture_folder import contents, read_folder

    plan = observer.plan
    found = read_folder(Path(plan.images or ""))
    decode = any(not isinstance(case, OwnCase) or case.transform is None for case in plan.cases_of_files())
    with counting(Path(plan.session), "pictures: reading", len(found.names)) as each:
        return found.to_evidence(contents(found, each, decode=decode))

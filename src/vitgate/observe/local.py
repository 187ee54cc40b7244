"""The left half at work: builds, loads and observes what a check asks for, each once per session.

`Observer` is what a check can ask; the answer is evidence on disk, made by whoever asks first. `LocalObserver` makes it
in its own process. In a run of the suite that is a process of the server (`vitgate.observe.server`), one for each case
and engine, so that the test workers themselves stay light and outlive a crash of the runtime.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from vitgate.files.errors import MachineError, NO_ROOM
from vitgate.files.hashing import digest, key_of
from vitgate.inputs.field_files import FieldItem, located, read_field, seen
from vitgate.judge.findings import NATIVE_PICTURES, TUTORIAL_INT8
from vitgate.judge.latency_ratios import Bound, ROUNDS_AT_MOST
from vitgate.judge.picture_accuracy import of_variant
from vitgate.observe.session_directory import counting
from vitgate.observe.store import pack, Store, unpack
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.spec.cases import LIBRARY_ADVICE, missing_library, OwnCase, read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.engines import Engine, engine_named, NO_ENGINE, usual_engine
from vitgate.spec.evidence import Evidence
from vitgate.spec.outcome import ClaimFailed, NO_TOOLS, Outcome
from vitgate.spec.run_config import RunConfig
from vitgate.spec.successors import read_successors
from vitgate.spec.variants import SUCCESSORS, VARIANTS

if TYPE_CHECKING:
    from vitgate.inputs.picture_folder import LabelledFolder
    from vitgate.judge.metrics import Array
    from vitgate.observe.readback import Seen
    from vitgate.observe.runtimes import Loaded, Runnable
    from vitgate.pipeline.graph import Builder


class Observer(ABC):
    """What can be observed, by name. Subclasses say how evidence that nobody has made yet comes about."""

    def __init__(self, plan: RunConfig) -> None:
        """Use the plan's session folder; nothing heavy happens yet."""
        self.plan = plan
        self.store = Store(Path(plan.session) / "evidence")

    @abstractmethod
    def _get(self, kind: str, name: str, *arguments: Any) -> Evidence:
        """Return the evidence, made by the maker of that kind with these arguments if it is not there."""

    def environment(self) -> Evidence:
        """Return what describes this PyTorch and machine."""
        return self._get("environment", "environment")

    def source(self, case: str) -> Evidence:
        """Return where the weights come from: kind, path, note. Needs no torch."""
        return self._get("source", case, case)

    def reference(self, case: str) -> Evidence:
        """Return where the reference picture comes from: path, source, sha256, note. Needs no torch."""
        return self._get("reference", case, case)

    def weights(self, case: str) -> Evidence:
        """Return path, digest, kind and note of the weights."""
        return self._get("weights", case, case)

    def pictures(self, case: str) -> Evidence:
        """Return the inputs: `x` float32 [N, C, H, W], `labels` int64 [N], and `heldout_x`, `heldout_labels`."""
        return self._get("pictures", case, case)

    def golden(self) -> Evidence:
        """Return how far the preprocessing of this torchvision and Pillow is from the golden tensor."""
        return self._get("golden", "preprocessing")

    def probe(self, call: str) -> Evidence:
        """Return how one of the tutorial's calls went, and the warnings that it gave."""
        return self._get("call", call, call)

    def artifact(self, cell: CellId) -> Evidence:
        """Return path, bytes, digest and seconds of the cell's file, building it if nobody has."""
        return self._get("build", cell.evidence_name, cell)

    def outputs(self, cell: CellId) -> Evidence:
        """Return `logits` float32 [N, classes] of each picture alone, `again` [1, classes], and `heldout_logits`.

        `again` is the first picture once more after all others: a variant with a memory gives something else.
        """
        return self._get("outputs", cell.evidence_name, cell)

    def anchor(self, cell: CellId) -> Evidence:
        """Return `logits` float32 [N, classes] of the made-up pictures of `vitgate.inputs.anchor_pictures`."""
        return self._get("anchor", cell.evidence_name, cell)

    def parameters(self, case: str) -> Evidence:
        """Return how many numbers the float model's parameters are, `count`, and its whole state, `numbers`."""
        return self._get("parameters", case, case)

    def readback(self, cell: CellId) -> Evidence:
        """Return what the file's weights and its graph are, read back and compared with the original's."""
        return self._get("readback", cell.evidence_name, cell)

    def lite_info(self, cell: CellId) -> Evidence:
        """Return bytecode version and operators of a lite file."""
        return self._get("lite_info", cell.evidence_name, cell)

    def program(self) -> Evidence:
        """Return the compiled C++ program: path, version (of the libtorch that it was built against), libraries."""
        return self._get("program", "program")

    def native(self, cell: CellId) -> Evidence:
        """Return `logits` float32 [N, classes] that the C++ program gets from the cell's file, picture by picture."""
        return self._get("native", cell.evidence_name, cell)

    def warmed(self, case: str, engine: Engine) -> Evidence:
        """Return the variants that are loaded and warm for the samples of `latency`."""
        group = GroupId(case, engine)
        return self._get("warmed", str(group), group.original)

    def latency(self, case: str, engine: Engine, bounds: dict[str, Bound]) -> Evidence:
        """Return the samples of every variant that runs; see `vitgate.observe.latency`."""
        plain = {variant: [bound.lower, bound.upper] for variant, bound in bounds.items()}
        group = GroupId(case, engine)
        return self._get("latency", str(group), group.original, plain)

    def field(self, claim: str, item: FieldItem) -> Evidence:
        """Return `logits` and `again`, as `outputs` does, of a file from elsewhere on its own inputs."""
        return self._get("field", f"{claim}-{item.row.id}", item.folder, item.row.id)

    def labelled(self) -> Evidence:
        """Return what is in the folder of `--images`: `labels` int64 [N], names, classes, digest of the contents."""
        return self._get("labelled", "images")

    def images(self, cell: CellId) -> Evidence:
        """Return the variant's predictions for the user's folder, as `vitgate.judge.picture_accuracy` reads them.

        A runtime that crashes does so with the case's own pictures, for its variant alone; the others then go through
        the folder together.
        """
        group = [each for each in cell.run_together() if self.outputs(each).outcome is None]
        if cell not in group:
            return self.outputs(cell)
        return of_variant(self._get("images", cell.run_together()[0].evidence_name, cell), cell.variant)

    def blocks(self, cell: CellId) -> Evidence:
        """Return `sqnr`, dB: how near the cell is to the original after the embedding, each block and the head."""
        return self._get("blocks", cell.evidence_name, cell)

    def diagnosis(self, cell: CellId, other: CellId) -> str:
        """Return in words where in the network the two cells part ways."""
        found = self._get("diagnosis", f"{cell.evidence_name}-{other.variant}", cell, other)
        return f"No diagnosis by block: {found.outcome.message}" if found.outcome else str(found.values["text"])

    def lacks(self, cell: CellId) -> Outcome | None:
        """Say what stands in the way of the cell: its case's library, an engine, a package of a successor's.

        MachineError as `supports`.
        """
        if missing := missing_library(read_cases()[cell.case]):
            message = f"{missing} is not installed, which builds {cell.case}: {LIBRARY_ADVICE}"
            return Outcome("unsupported", error=NO_TOOLS, message=message)
        if not self.supports(cell.engine):
            return lacks_engine(cell.engine)
        needs = read_successors().get(cell.variant)
        return needs.lacking(self.environment().values["torch"]) if needs else None

    def usual_engine(self) -> Engine:
        """Return the engine under which users of this build quantize."""
        return usual_engine(self.environment().values["engines"])

    def supports(self, engine: Engine) -> bool:
        """Whether this PyTorch build has the engine; MachineError where the user named one that it lacks."""
        if engine == NO_ENGINE:
            return True
        engines = self.environment().values["engines"]
        if engine not in engines and self.plan.explicit_engines:
            raise MachineError(
                f"this PyTorch build has no engine {engine!r}",
                where=f"torch {self.environment().values['torch']}",
                do=f"choose from {', '.join(engines)}",
            )
        return engine in engines


def lacks_engine(engine: Engine) -> Outcome:
    """Say that this build has no such engine."""
    return Outcome("unsupported", message=f"this PyTorch build has no engine {engine}")


class LocalObserver(Observer):
    """Makes evidence in this process. Models and loaded variants are kept for as long as it lives."""

    def __init__(self, plan: RunConfig) -> None:
        """Open the cache; torch is imported when the first observation needs it."""
        super().__init__(plan)
        self._cache = ArtifactCache(Path(plan.artifacts))
        self._models: dict[str, Any] = {}
        self._runs: dict[str, Loaded] = {}
        self._warm: dict[str, int] = {}
        self._seen: dict[str, Seen] = {}
        self._order: dict[str, list[str]] = {}
        self._makers: dict[str, Callable[..., Evidence]] = {
            "environment": self._environment,
            "source": self._source,
            "reference": self._reference,
            "weights": self._weights,
            "pictures": self._pictures,
            "golden": self._golden,
            "call": self._call,
            "build": self._build,
            "outputs": self._outputs,
            "anchor": self._anchor,
            "parameters": self._parameters,
            "readback": self._readback,
            "lite_info": self._lite_info,
            "program": self._program,
            "native": self._native,
            "warmed": self._warmed,
            "latency": self._latency,
            "blocks": self._blocks,
            "diagnosis": self._diagnosis,
            "field": self._field,
            "labelled": self._labelled,
            "images": self._images,
        }

    def observe(self, kind: str, name: str, *arguments: Any) -> Evidence:
        """Make that evidence, unless it is there: what the server does for a worker."""
        return self._get(kind, name, *arguments)

    def _get(self, kind: str, name: str, *arguments: Any) -> Evidence:
        try:
            return self.store.get(kind, name, lambda: self._made(kind, *arguments))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            where = error.filename or self.plan.session
            raise MachineError(f"cannot write: {error.strerror}", where=where, do="free disk space") from None

    def _made(self, kind: str, *arguments: Any) -> Evidence:
        try:
            return self._makers[kind](*arguments)
        except ClaimFailed as failure:
            return Evidence(outcome=failure.outcome)

    # What the run stands on

    def _environment(self) -> Evidence:
        from vitgate.observe.environment import check_imports, describe

        check_imports()
        return Evidence(describe())

    def _source(self, case: str) -> Evidence:
        from vitgate.inputs.sources import weights_source

        return weights_source(read_cases()[case], self.plan.request_for(case))

    def _reference(self, case: str) -> Evidence:
        from vitgate.inputs.sources import picture_source

        return picture_source(read_cases()[case], self.plan.assets, self.source(case).values["kind"])

    def _weights(self, case: str) -> Evidence:
        from vitgate.inputs.sources import source_from
        from vitgate.pipeline.weights_file import weights_of

        source = source_from(self.source(case))
        if source.kind != "standin":  # which alone needs no torch
            self.environment()
        return weights_of(read_cases()[case], source, self._cache)

    def _pictures(self, case: str) -> Evidence:
        self.environment()
        from vitgate.inputs.pictures import pictures_of

        return pictures_of(read_cases()[case], self.reference(case))

    def _golden(self) -> Evidence:
        self.environment()
        from vitgate.inputs.preprocess import golden_difference

        return Evidence(asdict(golden_difference()))

    def _call(self, call: str) -> Evidence:
        self.environment()
        from vitgate.observe.tutorial_calls import probe

        return Evidence(asdict(probe(call, Path(self.plan.session))))

    def model(self, case: str) -> Any:
        """Return the eager model, one per process."""
        if case not in self._models:
            from vitgate.pipeline.stages import create_model, stage
            from vitgate.pipeline.weights_file import load_state

            with stage("create_model"):
                self._models[case] = create_model(read_cases()[case], load_state(self.weights(case)))
        return self._models[case]

    @cached_property
    def _builder(self) -> Builder:
        from vitgate.pipeline.graph import Builder

        weights = lambda case: str(self.weights(case).values["digest"])  # noqa: E731  # a name for its type's sake
        return Builder(self._cache, self.artifact, self.model, weights)

    # Observer of a cell

    def _build(self, cell: CellId) -> Evidence:
        if cell.parent is not None and cell.parent.form.file is not None:
            self.artifact(cell.parent)  # before this one is said to be under way
        with counting(Path(self.plan.session), f"building: {cell.evidence_name}"):
            return self._builder.build(cell)

    def runnable(self, cell: CellId) -> Loaded:
        """Return the variant as its users load it; loaded once per process."""
        from vitgate.observe import runtimes

        name = cell.evidence_name
        if name not in self._runs:
            if cell.variant == "original":
                self._runs[name] = runtimes.Loaded(self.model(cell.case))
            else:
                path = self.artifact(cell).demand().values["path"]
                self._runs[name] = runtimes.load(cell.form.runtime, path)
            self._warm[name] = 0
        return self._runs[name]

    def _outputs(self, cell: CellId) -> Evidence:
        from vitgate.pipeline.stages import engine_set

        with engine_set(cell.engine):
            run = self.runnable(cell)
            if not self._keeps:
                return self._observed(cell, run)
            key = self._key("outputs", cell)
            fresh: list[Evidence] = []

            def make(path: Path) -> None:
                fresh.append(self._observed(cell, run))
                pack(fresh[0], path)

            kept = self._cache.get(key, "outputs.npz", make)
            if fresh:
                return fresh[0]
            evidence = unpack(Path(kept.path))
            first = self._logits(cell, run, self.pictures(cell.case).arrays["x"][:1])
            if np.array_equal(first, evidence.arrays["logits"][:1]):
                return evidence
            self._cache.drop(key)  # this machine computes something else now: what was kept proves nothing
            return self._observed(cell, run)

    def _anchor(self, cell: CellId) -> Evidence:
        import torch

        from vitgate.inputs.anchor_pictures import made_up_pictures
        from vitgate.pipeline.stages import engine_set

        pictures = torch.from_numpy(made_up_pictures(read_cases()[cell.case]))
        with engine_set(cell.engine):
            return Evidence(arrays={"logits": self.runnable(cell)(pictures).numpy()})

    def _parameters(self, case: str) -> Evidence:
        model = self.model(case)
        kinds = {"count": model.parameters(), "numbers": model.state_dict().values()}
        return Evidence({name: sum(tensor.numel() for tensor in tensors) for name, tensors in kinds.items()})

    def _observed(self, cell: CellId, run: Runnable) -> Evidence:
        pictures = self.pictures(cell.case).arrays
        arrays = {"logits": self._logits(cell, run, pictures["x"])}
        arrays["again"] = self._logits(cell, run, pictures["x"][:1])  # the same memory: who wrote into it is found out
        if "heldout_x" in pictures:
            arrays["heldout_logits"] = self._logits(cell, run, pictures["heldout_x"])
        return Evidence(arrays=arrays)

    def _logits(self, cell: CellId, run: Runnable, pictures: Array) -> Any:
        """Run the pictures one by one, as users do: a batch would share its activations' scales."""
        import torch

        self._warm[cell.evidence_name] += len(pictures)
        return np.concatenate([run(torch.from_numpy(picture[None])).numpy() for picture in pictures])

    @property
    def _keeps(self) -> bool:
        """Whether the cache outlives the session."""
        return not Path(self.plan.artifacts).is_relative_to(self.plan.session)

    def _key(self, kind: str, cell: CellId) -> str:
        """Return a key that changes with everything that decides the outputs, or the content, of a variant's file."""
        pictures = self.pictures(cell.case)
        environment = self.environment().values
        file = self.artifact(cell).demand().values["digest"] if cell.form.file else ""
        parts = {
            name: environment[name] for name in ("torch", "commit", "configuration_digest", "cpu", "cpu_capability")
        }
        code = sorted(Path(__file__).parent.glob("*.py"))
        return key_of(
            {
                **parts,
                "kind": kind,
                "cell": cell.evidence_name,
                "file": file,
                "weights": self.weights(cell.case).values["digest"],
                "pictures": digest(pictures.arrays["x"].tobytes()),
                "code": digest(b"".join(path.read_bytes() for path in code)),
            }
        )

    def _readback(self, cell: CellId) -> Evidence:
        if not self._keeps:
            return self._read_back(cell)
        kept = self._cache.get(
            self._key("readback", cell), "readback.npz", lambda path: pack(self._read_back(cell), path)
        )
        return unpack(Path(kept.path))

    def _read_back(self, cell: CellId) -> Evidence:
        from torch import nn

        from vitgate.observe.readback import read_back
        from vitgate.pipeline.stages import engine_set, stage

        model = self.model(cell.case)
        seen = self._seen.setdefault(cell.case, {})
        state, modules = model.state_dict(), dict(model.named_modules())
        order = self._in_use_order(cell.case)
        owners = dict.fromkeys(name.rpartition(".")[0] for name in order)
        linears = [name for name in owners if isinstance(modules[name], nn.Linear)]
        original = {name: state[name] for name in order}
        path = Path(self.artifact(cell).demand().values["path"])
        with engine_set(cell.engine), stage("read_weights"):
            form = cell.form
            found = read_back(path, original, linears, frozen=form.frozen, quantized=form.quantized, seen=seen)
        return Evidence(asdict(found))

    def _in_use_order(self, case: str) -> list[str]:
        """Return the names of the model's state in the order of their use, found once per process."""
        import torch

        from vitgate.inputs.anchor_pictures import made_up_pictures
        from vitgate.observe.readback import in_use_order
        from vitgate.pipeline.stages import stage

        if case not in self._order:
            with stage("run"):
                picture = torch.from_numpy(made_up_pictures(read_cases()[case])[:1])
                self._order[case] = in_use_order(self.model(case), picture)
        return self._order[case]

    def _lite_info(self, cell: CellId) -> Evidence:
        from vitgate.observe.lite_info import lite_info
        from vitgate.pipeline.stages import stage

        path = Path(self.artifact(cell).demand().values["path"])
        with stage("load"):
            return Evidence(asdict(lite_info(path)))

    def _program(self) -> Evidence:
        self.environment()
        from vitgate.observe import native

        path = native.compiled(self._cache).path
        version, libraries = native.about(Path(path))
        return Evidence({"path": path, "version": version, "libraries": libraries})

    def _native(self, cell: CellId) -> Evidence:
        from vitgate.observe import native

        file = self.artifact(cell).demand().values["path"]
        program = Path(self.program().demand().values["path"])
        engine = cell.engine if cell.form.quantized else None
        pictures = self.pictures(cell.case).arrays["x"][:NATIVE_PICTURES]
        return Evidence(arrays={"logits": native.run(program, cell.form.runtime, engine, file, pictures)})

    def _running(self, cell: CellId) -> dict[CellId, Runnable]:
        """Return what is timed together and loads; the claims about the others say why not."""
        runs: dict[CellId, Runnable] = {}
        for other in self._timed_with(cell):
            with suppress(ClaimFailed):
                runs[other] = self.runnable(other)
        return runs

    def _timed_with(self, cell: CellId) -> list[CellId]:
        """Return the variants of the cell's case and engine; successors with the original, and the tutorial's int8."""
        if cell.engine != NO_ENGINE:
            return [cell.at(variant) for variant in VARIANTS]
        there = [other for other in map(cell.at, SUCCESSORS) if not self.lacks(other)]
        runs = [other for other in there if self.outputs(other).outcome is None]
        return [cell.at("original"), CellId(cell.case, self.usual_engine(), TUTORIAL_INT8), *runs]

    def _warmed(self, cell: CellId) -> Evidence:
        import torch

        from vitgate.observe.latency import profiled_ms, WARM_UP_CALLS
        from vitgate.pipeline.stages import engine_set

        x = torch.from_numpy(self.pictures(cell.case).arrays["x"][:1])
        profiled = {}
        with engine_set(cell.engine):
            for other, run in self._running(cell).items():
                name = other.evidence_name
                for _ in range(max(1, WARM_UP_CALLS - 1 - self._warm[name])):
                    run(x)
                profiled[str(other.variant)] = profiled_ms(run, x)
                self._warm[name] += WARM_UP_CALLS
        return Evidence(profiled)

    def _latency(self, cell: CellId, bounds: dict[str, list[float | None]]) -> Evidence:
        import torch

        from vitgate.observe.latency import sample
        from vitgate.pipeline.stages import engine_set

        x = torch.from_numpy(self.pictures(cell.case).arrays["x"][:1])
        warmed = self.warmed(cell.case, cell.engine).values
        with engine_set(cell.engine):
            runs = self._running(cell)
            warm = {str(other.variant): self._warm[other.evidence_name] for other in runs}
            named = {str(other.variant): run for other, run in runs.items()}
            edges = {variant: Bound(*pair) for variant, pair in bounds.items()}
            name = f"rounds of latency: {cell.group}"
            with counting(Path(self.plan.session), name, ROUNDS_AT_MOST) as each:
                samples = sample(named, x, edges, warm, told=each)
        return Evidence({name: {**vars(rows), "profiled_ms": warmed.get(name)} for name, rows in samples.items()})

    def _field(self, folder: str, name: str) -> Evidence:
        import torch

        from vitgate.observe import runtimes
        from vitgate.pipeline.stages import engine_set

        self.environment()
        item = next(item for item in read_field(Path(folder)) if item.row.id == name)
        with engine_set(item.row.engine or engine_named(torch.backends.quantized.engine)):
            run = runtimes.load(item.row.runtime, str(located(item, Path(self.plan.session))))
            pictures = [torch.from_numpy(picture[None]) for picture in seen(item).x]
            logits = np.concatenate([run(picture).numpy() for picture in pictures])
            return Evidence(arrays={"logits": logits, "again": run(pictures[0]).numpy()})

    def _labelled(self) -> Evidence:
        from vitgate.inputs.picture_folder import contents, read_folder

        found = read_folder(Path(self.plan.images))
        decode = any(not isinstance(case, OwnCase) or case.transform is None for case in self.plan.cases_of_files())
        with counting(Path(self.plan.session), "pictures: reading", len(found.names)) as each:
            return found.to_evidence(contents(found, each, decode=decode))

    def _images(self, cell: CellId) -> Evidence:
        from vitgate.inputs.picture_folder import check_classes, folder_from
        from vitgate.observe.predictions import predicted
        from vitgate.pipeline.stages import engine_set

        found = folder_from(self.labelled())
        group = [each for each in cell.run_together() if self.outputs(each).outcome is None]
        check_classes(found, self.outputs(group[0]).arrays["logits"].shape[1], cell.case)
        name = f"pictures: {cell.case} {cell.engine if cell.form.quantized else 'float'}"
        with engine_set(cell.engine), counting(Path(self.plan.session), name, len(found.names)) as each:
            runs = {str(own.variant): self.runnable(own) for own in group}
            return predicted(runs, self._files(cell.case, found), found.labels, each)

    def _files(self, case: str, found: LabelledFolder) -> Iterator[Array]:
        """Yield the pictures of the user's folder one by one, float32 [C, H, W]: it may be larger than memory."""
        from vitgate.inputs.pictures import picture_of

        for name in found.names:
            yield picture_of(read_cases()[case], found.folder / name)

    def _blocks(self, cell: CellId) -> Evidence:
        from vitgate.observe.diagnosis import by_block

        found = by_block(self, cell.at("original"), cell)
        return Evidence({"sqnr": dict(zip(found.places, found.sqnr, strict=True))})

    def _diagnosis(self, cell: CellId, other: CellId) -> Evidence:
        from vitgate.observe.diagnosis import by_block

        return Evidence({"text": str(by_block(self, cell, other))})

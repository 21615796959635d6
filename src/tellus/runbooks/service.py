"""Use cases of runbooks: begin a run, read it, answer it, give it up, take photos."""

from typing import Final, NamedTuple

from tellus.audit.model import Actor
from tellus.commands import repeats
from tellus.commands.model import KINDS, RequestKey, Risk
from tellus.fleet.administration import DeviceMoved
from tellus.fleet.directory import Device
from tellus.kernel.clock import Clock
from tellus.kernel.errors import (
    Conflict,
    MissingParameter,
    NotFound,
    PermissionDenied,
)
from tellus.kernel.files import FileAnswer, Upload, safe_name
from tellus.kernel.ids import new_id
from tellus.reports.model import StoredFile
from tellus.runbooks import rules_runs, store
from tellus.runbooks.bundle import Bundler
from tellus.runbooks.library import RunbookCatalogue
from tellus.runbooks.model import (
    Answered,
    Links,
    Photo,
    Place,
    Run,
    RunFilter,
    RunStatus,
    Stage,
    StepRecord,
)
from tellus.runbooks.model_catalogue import Runbook, Step, Verdict
from tellus.runbooks.moving import RunMover, WrongStep, note, place_lock
from tellus.runbooks.photos import ENDINGS, recognize
from tellus.runbooks.sources import Sources
from tellus.storage.database import Tx

SCOPE: Final = "diagnostics"
"""What a client needs beside ``write`` to confirm commands of medium risk."""

PHOTOS_MOST: Final = 20
_TIDIED_AT_ONCE: Final = 100


class ModelNotCovered(Conflict):
    """4001: the runbook is not for devices of this model."""

    def __init__(self, runbook: Runbook, model: str) -> None:
        message = "This runbook is not for this device"
        reason = "not_v2g_capable" if runbook.needs_v2g else "model_not_covered"
        super().__init__(message, reason=reason, model=model)


class RunUnderWay(Conflict):
    """4001: there is a run of the runbook for this device and connector that is not over."""

    def __init__(self, run_id: str) -> None:
        message = "A run of this runbook is under way here"
        super().__init__(message, reason="run_under_way", run_id=run_id)


class RunOver(Conflict):
    """4001: the run has ended."""

    def __init__(self, run: Run) -> None:
        super().__init__("The run is over", status=run.status.value)


class Client(NamedTuple):
    """Who asks: client, operator, how the audit log names it; under which key it may ask again."""

    client_id: str
    operator_id: str
    by: Actor
    idempotency_key: str = ""


class Wanted(NamedTuple):
    """What a run is to be about; ``connector_id`` 0 is the device."""

    device_id: str
    connector_id: int
    links: Links


class RunView(NamedTuple):
    """A run with the steps that it came to and the photos that were sent along."""

    runbook: Runbook
    run: Run
    records: list[StepRecord]
    photos: list[Photo]


class RunbookService:
    """Runs of runbooks; an operator sees its own and nothing else exists for it."""

    def __init__(
        self, sources: Sources, library: RunbookCatalogue, clock: Clock, *, kept_ms: int
    ) -> None:
        self._sources = sources
        self._database = sources.database
        self._clock = clock
        self._kept_ms = kept_ms
        self._bundler = Bundler(sources)
        self.library = library
        self.mover = RunMover(sources, library, clock)

    async def tidy(self) -> None:
        """Forget some runs that ended long ago."""
        before_ms = self._clock.now_ms() - self._kept_ms
        await self._database.write(store.remove_ended, before_ms, _TIDIED_AT_ONCE)

    # ------------------------------------------------------------------ runs

    async def start_run(self, slug: str, wanted: Wanted, client: Client) -> RunView:
        """Begin a run and let it go as far as it goes without a person.

        Raises:
            NotFound: runbook, device, connector, alert or command is absent or another operator's.
            MissingParameter: the runbook is about a connector, and none is named.
            ModelNotCovered: the runbook is not for the device.
            RunUnderWay: a run of it for the same place is not over.
            KeyReused: the key stands for another request.
        """
        runbook = self.find_runbook(slug)
        device = self._find_device(runbook, wanted, client.operator_id)
        now_ms = self._clock.now_ms()
        if wanted.links.command_id is not None:
            command, _ = await self._sources.commands.read_command(
                wanted.links.command_id, client.operator_id, now_ms
            )
            if command.device_no != device.device_no:
                raise NotFound
        place = Place(
            client.operator_id,
            client.client_id,
            device.device_no,
            device.device_id,
            wanted.connector_id,
        )
        asked = ("runbooks", slug, wanted)
        key = repeats.make_key(client.client_id, client.idempotency_key, *asked)
        run_id = await self._database.write(
            self._begin, runbook, place, wanted.links, client.by, key, now_ms
        )
        await self.mover.move(run_id)
        return await self.read_run(slug, run_id, client.operator_id)

    def _find_device(self, runbook: Runbook, wanted: Wanted, operator_id: str) -> Device:
        device = self._sources.directory.owned(wanted.device_id, operator_id)
        if device is None:
            raise NotFound
        if wanted.connector_id and wanted.connector_id not in device.connectors:
            raise NotFound
        if runbook.needs_connector and not wanted.connector_id:
            raise MissingParameter("connector_id")
        if not runbook.fits(device.model, v2g=self._sources.catalogue.is_v2g(device)):
            raise ModelNotCovered(runbook, device.model)
        return device

    def _begin(
        self,
        tx: Tx,
        runbook: Runbook,
        place: Place,
        links: Links,
        by: Actor,
        key: RequestKey | None,
        now_ms: int,
    ) -> str:
        tx.lock(place_lock(place.device_no))
        if key is not None:
            first: str | None = repeats.recall(tx, key, now_ms)
            if first is not None:
                return first
        if store.find_owner(tx, place.device_no) != place.operator_id:
            raise NotFound
        if links.alert_id is not None:
            alert = self._sources.alerts.find(tx, place.operator_id, links.alert_id)
            if alert is None or alert.device_no not in {None, place.device_no}:
                raise NotFound
        live = store.find_live(
            tx, place.operator_id, runbook.slug, place.device_no, place.connector_id
        )
        if live is not None:
            raise RunUnderWay(live.run_id)
        begun = rules_runs.begin(new_id("run"), runbook, place, links, now_ms)
        self.mover.store_new(tx, begun, by)
        if key is not None:
            repeats.remember(tx, key, begun.run.run_id, now_ms)
        return begun.run.run_id

    async def read_run(self, slug: str, run_id: str, operator_id: str) -> RunView:
        """Return a run.

        Raises:
            NotFound: it is absent, another operator's, or of another runbook.
        """
        runbook = self.find_runbook(slug)
        view = await self._database.read(_load_view, runbook, run_id)
        if view is None or view.run.operator_id != operator_id or view.run.slug != slug:
            raise NotFound
        return view

    async def list_runs(
        self, wanted: RunFilter, device_id: str | None, offset: int, size: int
    ) -> tuple[int, list[Run]]:
        """Return how many runs match and a page of them, newest first.

        Raises:
            NotFound: the runbook is unknown; device or alert are absent or another operator's.
        """
        if wanted.slug is not None:
            self.find_runbook(wanted.slug)
        if device_id is not None:
            device = self._sources.directory.owned(device_id, wanted.operator_id)
            if device is None:
                raise NotFound
            wanted = wanted._replace(device_no=device.device_no)
        if wanted.alert_id is not None and not await self._database.read(
            self._sources.alerts.find, wanted.operator_id, wanted.alert_id
        ):
            raise NotFound
        return await self._database.read(store.list_runs, wanted, size, offset)

    # ------------------------------------------------------------------ what people do

    async def answer(
        self,
        place: tuple[str, str, int],
        answered: Answered,
        client: Client,
    ) -> RunView:
        """Take what a person said of a step; ``place`` is runbook, run and step.

        Raises:
            NotFound: the run is absent, another operator's, or of another runbook.
            WrongStep: the run asks nothing of this step.
            PermissionDenied: it confirms a command that takes the charger out of service, and the
                client may not give those.
        """
        slug, run_id, n = place
        view = await self.read_run(slug, run_id, client.operator_id)
        run = view.run
        if run.is_over or run.n != n or run.status not in {RunStatus.ASKING, RunStatus.PAUSED}:
            raise WrongStep(run)
        step = view.runbook.steps[n - 1]
        confirms = run.stage is Stage.CONFIRM and answered.outcome is Verdict.PASSED
        if confirms and is_medium(step) and SCOPE not in (client.by.scopes or ()):
            raise PermissionDenied(f"This needs the scope '{SCOPE}'", scope=SCOPE)
        await self.mover.answer(run, answered, client.by)
        return await self.read_run(slug, run_id, client.operator_id)

    async def cancel(self, slug: str, run_id: str, client: Client) -> RunView:
        """Give a run up; what was sent stays sent.

        Raises:
            NotFound: it is absent, another operator's, or of another runbook.
            RunOver: it has ended.
        """
        await self.read_run(slug, run_id, client.operator_id)
        await self._database.write(_cancel, run_id, client.by, self._clock.now_ms())
        return await self.read_run(slug, run_id, client.operator_id)

    def leave_behind(self, tx: Tx, moved: DeviceMoved) -> None:
        """Give up the runs about a device that goes to another operator, in that transaction."""
        tx.lock(place_lock(moved.device_no))
        for run in store.list_left_behind(tx, moved.device_no, moved.operator_id):
            store.update_run(tx, rules_runs.cancel(run, "device_gone", moved.now_ms))

    # ------------------------------------------------------------------ photos and bundle

    async def add_photo(self, slug: str, run_id: str, upload: Upload, client: Client) -> StoredFile:
        """Keep a photo with a run, also after its end.

        Raises:
            NotFound: the run is absent, another operator's, or of another runbook.
            InvalidParameter: it is no JPEG, PNG or WebP.
            Conflict: the run has 20 photos.
            PayloadTooLarge: it exceeds 32 MiB.
        """
        view = await self.read_run(slug, run_id, client.operator_id)
        upload = await recognize(upload)
        if len(view.photos) >= PHOTOS_MOST:
            raise Conflict("A run keeps 20 photos", reason="too_many_photos")
        now_ms = self._clock.now_ms()
        name = safe_name(f"{run_id}-{len(view.photos) + 1}.{ENDINGS[upload.media_type]}")

        def along(tx: Tx, file: StoredFile) -> None:
            tx.lock(f"runbook_photos:{run_id}")
            if len(store.list_photos(tx, run_id)) >= PHOTOS_MOST:
                raise Conflict("A run keeps 20 photos", reason="too_many_photos")
            photo = Photo(file.file_id, file.media_type, file.size, None, client.client_id, now_ms)
            store.append_photo(tx, run_id, photo)
            note(tx, view.run, client.by, "runbook_run.photo_added", now_ms, file_id=file.file_id)

        return await self._sources.files.store(
            client.operator_id,
            "runbook_photo",
            name,
            upload.media_type,
            upload.pieces,
            now_ms + self._kept_ms,
            device_no=view.run.device_no,
            along=along,
        )

    async def bundle(self, slug: str, run_id: str, operator_id: str) -> FileAnswer:
        """Return all that is known of a run, as one zip.

        Raises:
            NotFound: the run is absent, another operator's, or of another runbook.
        """
        view = await self.read_run(slug, run_id, operator_id)
        return await self._bundler.build(
            view.runbook, view.run, view.records, view.photos, self._clock.now_ms()
        )

    def find_runbook(self, slug: str) -> Runbook:
        """Return a runbook.

        Raises:
            NotFound: there is none of that name.
        """
        runbook = self.library.find(slug)
        if runbook is None:
            raise NotFound
        return runbook


def is_medium(step: Step) -> bool:
    """Tell whether a step takes the charger out of service for a while."""
    return any(KINDS[one.command].risk is Risk.MEDIUM for one in step.commands)


def _load_view(tx: Tx, runbook: Runbook, run_id: str) -> RunView | None:
    run = store.find_run(tx, run_id)
    if run is None:
        return None
    return RunView(runbook, run, store.list_steps(tx, run_id), store.list_photos(tx, run_id))


def _cancel(tx: Tx, run_id: str, by: Actor, now_ms: int) -> None:
    tx.lock(f"runbook_run:{run_id}")
    run = store.find_run(tx, run_id)
    if run is None:
        raise NotFound
    if run.is_over:
        raise RunOver(run)
    store.update_run(tx, rules_runs.cancel(run, "cancelled", now_ms))
    note(tx, run, by, "runbook_run.cancelled", now_ms)

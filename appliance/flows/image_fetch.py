"""Shared steps: have the image that a deploy names by its address, before the machine is touched.

One work fetches it, all others that want the same look until it is there (services.image_claims). After a crash the
step is run again: it fetches anew, or goes on with what had come whole.
"""

from collections.abc import Callable

from appliance.domain.errors import RackwrightError, Unavailable
from appliance.domain.steps import Next, Retry
from appliance.flows.procedure import Act, Procedure, Record, Step, Turn
from appliance.flows.resources import ImageFetcher
from appliance.models.image import Image
from appliance.models.node import Inventory
from appliance.services import image_claims, images
from appliance.services.image_sources import Order, problem_of

LOOK_S = 5.0
CHECKSUM_S = 60.0
RETRY = Retry(times=4, first_s=2.0, cap_s=30.0)


def is_wanted(turn: Turn) -> bool:
    """Whether the image is still to be had from elsewhere."""
    return bool(_asked(turn)) and not turn.data.get("has_image")


def _asked(turn: Turn) -> dict[str, object]:
    asked: dict[str, object] = turn.data.get("spec", {}).get("source") or {}
    return asked


def _checksum(turn: Turn) -> tuple[str, str] | None:
    found = _asked(turn).get("checksum") or turn.data.get("checksum")
    return (str(found[0]), str(found[1])) if isinstance(found, list) else None


def _fetcher(turn: Turn) -> ImageFetcher:
    if turn.resources.image_sources is None:
        raise Unavailable("this process fetches no images")
    return turn.resources.image_sources


def add_to(procedure: Procedure, *, then: Callable[[], Step]) -> Callable[[Turn], Step]:
    """Add the steps; `then` names the step after the image is there. Returns what names the first of them."""

    @procedure.act(pool="fetch", retry=RETRY)
    def fetch_checksum(turn: Act) -> Next:
        turn.check()
        try:
            turn.data["checksum"] = list(_fetcher(turn).checksum(turn.node, CHECKSUM_S))
        except RackwrightError as fault:
            return _failed(turn, fault)
        return turn.go(find_image)

    @procedure.record()
    def find_image(turn: Record) -> Next:
        checksum = _checksum(turn)
        assert checksum is not None
        claim = image_claims.claim(
            turn.session, _asked(turn), checksum, flow_uuid=turn.claimed.uuid, since=turn.claimed.entered_at,
            now=turn.now,
        )  # fmt: skip
        if claim.broken:
            return turn.failed(claim.broken)
        if claim.busy:
            return turn.again(LOOK_S, claim.busy)
        if claim.ready is None:
            turn.data["fetching"] = claim.fetch
            return turn.go(fetch_image)
        return _taken(turn, claim.ready) or turn.go(then())

    @procedure.act(name=image_claims.STEP, pool="image_fetch", retry=RETRY)
    def fetch_image(turn: Act) -> Next:
        turn.check()
        order = _order(turn)
        try:
            _fetcher(turn).bring(turn.node, order)
        except RackwrightError as fault:
            return _failed(turn, fault, uuid=order.image_uuid)
        return turn.go(find_image)

    def first(turn: Turn) -> Step:
        return find_image if _checksum(turn) else fetch_checksum

    return first


def _taken(turn: Record, image: Image) -> Next | None:
    """The node has the image now; else what to answer."""
    try:
        images.refuse_unfit(image, turn.session.get(Inventory, turn.node.id), turn.node.label)
    except RackwrightError as fault:
        return turn.failed(f"{fault.message}: {fault.why}" if fault.why else fault.message)
    turn.node.instance = {**(turn.node.instance or {}), "image_uuid": image.uuid}
    turn.data["has_image"] = True
    return None


def _order(turn: Act) -> Order:
    checksum, claimed = _checksum(turn), turn.claimed
    assert checksum is not None
    return Order(
        image_uuid=str(turn.data["fetching"]), checksum=checksum, attempt=f"{claimed.fence}-{claimed.attempt}",
        within_s=turn.policy.fetch_image_s, flow_uuid=claimed.uuid, step=claimed.step, check=turn.check,
    )  # fmt: skip


def _failed(turn: Act, fault: RackwrightError, *, uuid: str = "") -> Next:
    """Raises the fault while another try may help; the last one ends the work, and that of who waits for the image."""
    if fault.retryable and turn.claimed.attempt < RETRY.times:
        raise fault
    tries = f" ({turn.claimed.attempt + 1} tries)" if turn.claimed.attempt else ""
    problem = problem_of(fault).removesuffix(".") + f"{tries}."
    if uuid:
        _fetcher(turn).give_up(uuid, problem)
    return turn.failed(problem)

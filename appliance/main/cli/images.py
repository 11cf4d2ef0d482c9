"""`image build|import|list|show|delete`."""

import hashlib
import os
import re
import time
from pathlib import Path
from typing import IO, Any

import click

from appliance.main.cli.columns import IMAGE, RESULT
from appliance.main.cli.complete import image_names
from appliance.main.cli.exits import Exit, Failure, combined, from_client, tell, usage
from appliance.main.cli.frame import DEFAULT_WAIT, seconds, verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.local import cache_directory, needs_root
from appliance.main.cli.progress import Meter, transfer
from appliance.main.cli.transfer import Report, blocks
from appliance.main.client_errors import ApiError, ClientError

Json = dict[str, Any]

RECIPES = ("debian-12",)
_URL = re.compile(r"https?://", re.IGNORECASE)
_SUFFIXES = (".qcow2", ".raw", ".img", ".gz", ".xz", ".zst", ".bz2")


@verb("rackwright image list", data=True)
def list_(inv: Invocation) -> None:
    """List images."""
    inv.show(IMAGE, inv.client().items("/v1/images"))


@verb("rackwright image show debian-12", data=True)
@click.argument("image", shell_complete=image_names)
def show(inv: Invocation, *, image: str) -> None:
    """Show one image."""
    inv.show_one(IMAGE, _fetch(inv, image))


@verb("rackwright image delete debian-12 --yes", data=True)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", shell_complete=image_names)
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where nobody can be asked.")
def delete(inv: Invocation, *, images: tuple[str, ...], yes: bool) -> int:
    """Delete images. Machines that run one of them keep running."""
    from appliance.main.client import part

    inv.confirm(f"delete {', '.join(images)}", yes=yes)
    rows: list[Json] = []
    for image in dict.fromkeys(images):
        try:
            inv.client().call("DELETE", f"/v1/images/{part(image)}")
        except ApiError as error:
            failure = from_client(error)
            if len(images) == 1:
                raise failure from error
            tell(failure, as_json=inv.style.is_json)
            rows.append({"name": image, "result": "refused", "reason": failure.message, "exit_code": failure.exit_code})
        else:
            rows.append({"name": image, "result": "deleted", "exit_code": Exit.OK})
    inv.show(RESULT, rows)
    return int(combined([row["exit_code"] for row in rows]))


@verb("rackwright image import debian-12-genericcloud-amd64.qcow2 --name debian-12", data=True)
@click.argument("source", metavar="FILE|URL")
@click.option("--name", metavar="NAME", help="What to call it; the file's name without its ending unless said.")
@click.option("--sha256", metavar="HEX", help="What the bytes must hash to.")
@click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="Any fact about it.")
@click.option(
    "--timeout", default=DEFAULT_WAIT, show_default=True, metavar="DURATION", help="At most so long for a URL."
)
@click.option("--detach", is_flag=True, help="With a URL: do not wait for the appliance to fetch it.")
def import_(
    inv: Invocation,
    *,
    source: str,
    name: str | None,
    sha256: str | None,
    properties: tuple[str, ...],
    timeout: str,
    detach: bool,
) -> None:
    """Import a disk image. What it is, is found from its bytes; its checksum is verified before it can be used."""
    wanted = _digest(sha256)
    called = name or _name_of(source)
    facts = dict(pair.partition("=")[::2] for pair in properties)
    if _URL.match(source):
        body: Json = {"name": called, "url": source, "properties": facts, **({"sha256": wanted} if wanted else {})}
        try:
            made = inv.client().call("POST", "/v1/images", body=body).body
        except ApiError as error:
            raise from_client(error) from error
        inv.show_one(IMAGE, made if detach else _settled(inv, called, seconds(timeout)))
        return
    file = Path(source)
    report = Report(inv)
    try:
        with file.open("rb") as stream:
            found = _hash(stream, report)
    except OSError as cause:
        raise usage(f"{source} cannot be read", why=str(cause.strerror or cause)) from cause
    if wanted and found != wanted:
        raise Failure(
            f"{source} is not the image that was meant", why=f"its SHA-256 is {found}, not {wanted}", kind="checksum"
        )
    inv.show_one(IMAGE, upload(inv, file, name=called, sha256=found, properties=facts, report=report))


@verb("rackwright image build debian-12", data=True)
@click.argument("recipe", type=click.Choice(RECIPES))
@click.option("--name", metavar="NAME", help="What to call it; the recipe's name unless said.")
@click.option("--kernel", type=click.Choice(("cloud", "generic")), default="cloud", show_default=True,
              help="generic has the drivers of real servers; cloud is small and for virtual machines.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep the raw image there; then nothing is uploaded.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where builds are kept.")
def build(inv: Invocation, *, recipe: str, name: str | None, kernel: str, out: Path | None, cache: Path | None) -> None:
    """Build a disk image on this machine from Debian packages, and upload it. Needs root.

    A build with the same recipe and package lists is taken from the cache.
    """
    needs_root("building an image", f"rackwright image build {recipe}")
    if out is None:
        inv.client()  # not logged in? Better known before the build than after it.
    from images import debian, debian_recipe, tools
    from images.errors import ImageError

    kept = cache or cache_directory(inv) / "images"
    kept.mkdir(parents=True, exist_ok=True)
    target = out or kept / f"{recipe}.upload.raw"
    try:
        built = debian.build(target, kept, release=recipe, kernel=debian_recipe.Kernel(kernel), report=inv.note)
    except (tools.ToolFailed, tools.ToolMissing, ImageError, OSError) as cause:
        target.unlink(missing_ok=True)
        raise Failure(f"{recipe} could not be built", why=str(cause), kind="build-failed") from cause
    facts = {"os": recipe, "kernel": str(built.kernel)}
    if out is not None:
        inv.show_one(IMAGE, {"name": name or recipe, "path": str(built.path), "size_bytes": built.size_bytes,
                             "sha256": built.sha256, "properties": facts})  # fmt: skip
        return
    try:
        made = upload(inv, built.path, name=name or recipe, sha256=built.sha256, properties=facts, report=Report(inv))
        _send_schema(inv, str(made["name"]), built.schema)
    finally:
        target.unlink(missing_ok=True)
    inv.show_one(IMAGE, made)


def _send_schema(inv: Invocation, name: str, schema: Path) -> None:
    """Let the appliance check user-data by what the cloud-init inside the image understands."""
    import json

    from appliance.main.client import part

    try:
        inv.client().call("PUT", f"/v1/images/{part(name)}/cloud-config-schema", body=json.loads(schema.read_text()))
    except ApiError as error:
        raise from_client(error) from error


def upload(inv: Invocation, file: Path, *, name: str, sha256: str, properties: Json, report: Report) -> Json:
    """Make the record and send the bytes. The same bytes under the same name are not sent twice.

    A record whose bytes did not arrive is taken away again, so that the command can be repeated.
    """
    from appliance.main.client import part

    client = inv.client()
    try:
        made = client.call("POST", "/v1/images", body={"name": name, "sha256": sha256, "properties": properties}).body
    except ApiError as error:
        if (
            error.status == 409
            and (same := _fetch(inv, name)).get("sha256") == sha256
            and same.get("status") == "active"
        ):
            inv.note(f"{name} is there already, with these bytes")
            return same
        raise from_client(error) from error
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            pieces = blocks(stream, report.of("upload", size))
            answer = client.upload(
                f"/v1/images/{part(name)}/file", pieces, size=size, headers={"X-Checksum-Sha256": sha256}
            )
        report.end()
    except (ClientError, KeyboardInterrupt, OSError) as cause:
        report.end()
        _take_back(inv, name)
        raise (from_client(cause) if isinstance(cause, ClientError) else cause) from cause
    body = answer.body if isinstance(answer.body, dict) else made
    return body if body.get("status") == "active" else _settled(inv, name, seconds(DEFAULT_WAIT))


def _take_back(inv: Invocation, name: str) -> None:
    from appliance.main.client import part

    try:
        inv.client().call("DELETE", f"/v1/images/{part(name)}")
    except ClientError:
        inv.note(f"the image {name} has no bytes; take it away: rackwright image delete {name} --yes")


def _fetch(inv: Invocation, image: str) -> Json:
    from appliance.main.client import part

    try:
        return inv.client().get(f"/v1/images/{part(image)}")
    except ApiError as error:
        failure = from_client(error)
        if failure.exit_code is Exit.NOT_FOUND:
            from difflib import get_close_matches

            known = [str(item.get("name")) for item in inv.client().items("/v1/images")]
            near = get_close_matches(image, known, n=3, cutoff=0.6)
            failure.next_step = f"did you mean {' or '.join(near)}?" if near else "rackwright image list"
        raise failure from error


def _settled(inv: Invocation, name: str, limit_s: float) -> Json:
    """The image once it is `active`. Raises when it is `killed`, or when the time is up."""
    deadline = time.monotonic() + limit_s
    pause = 0.1
    meter = Meter()
    report = Report(inv)
    while True:
        image = _fetch(inv, name)
        if image.get("status") == "active":
            report.end()
            return image
        if image.get("status") == "killed":
            report.end()
            raise Failure(
                f"image {name} cannot be used", why=str(image.get("problem") or ""), kind="image-killed",
                next_step=f"rackwright image delete {name} --yes, then import it again",
            )  # fmt: skip
        progress = image.get("progress")
        if isinstance(progress, dict) and isinstance(progress.get("done"), int):
            meter.add("fetch", progress["done"], time.monotonic())
            report.line(transfer("fetch", progress["done"], progress.get("total"), meter))
        if time.monotonic() >= deadline:
            raise Failure(
                f"image {name} is still {image.get('status')}", exit_code=Exit.TIMED_OUT, kind="timed-out",
                next_step=f"rackwright image show {name}",
            )  # fmt: skip
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(1.0, pause * 1.5)


def _digest(text: str | None) -> str | None:
    if text is None:
        return None
    plain = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise usage("--sha256 is not a SHA-256", why="it has 64 hexadecimal digits")
    return plain


def _name_of(source: str) -> str:
    name = source.partition("?")[0].rstrip("/").rpartition("/")[2]
    while name.lower().endswith(_SUFFIXES):
        name = name.rsplit(".", 1)[0]
    if not name:
        raise usage("the image has no name", next_step="give one with --name")
    return name


def _hash(stream: IO[bytes], report: Report) -> str:
    digest = hashlib.sha256()
    moved = report.of("checksum", os.fstat(stream.fileno()).st_size)
    for block in blocks(stream, moved):
        digest.update(block)
    report.end()
    return digest.hexdigest()

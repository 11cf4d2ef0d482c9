"""Every command by name: what it is for, and where it lives. Importing this imports no command.

target: `module:attribute` below `appliance.main.cli`. A noun has a table of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """summary: the one line shown in the group's help."""

    summary: str
    target: str = ""
    table: "Mapping[str, Entry] | None" = None
    section: str = "Commands"
    example: str = ""


def _verbs(module: str, section: str = "Commands", **summaries: str) -> dict[str, Entry]:
    """Commands of one module; the attribute is the name with `_` appended when Python or we need the word."""
    return {
        name.strip("_").replace("_", "-"): Entry(summary=text, target=f"{module}:{name}", section=section)
        for name, text in summaries.items()
    }


NODE: Mapping[str, Entry] = {
    **_verbs(
        "enroll",
        "Find and add",
        enroll="Add a machine, or forty from a CSV file.",
        set_="Change a node's BMC, ports or place.",
    ),
    **_verbs(
        "nodes",
        "Find and add",
        list_="List nodes.",
        show="Show one node.",
        delete="Remove nodes from the appliance.",
    ),
    **_verbs(
        "moves",
        "Lifecycle",
        manage="Verify the BMC and take a node under management.",
        inspect="Boot the agent and take stock of the hardware.",
        provide="Clean a node and make it available.",
        deploy="Write an image to disk and bring the machine up.",
        undeploy="Take the instance away and clean the disks.",
        rebuild="Write the image again, keeping the node active.",
        clean="Run cleaning by hand on a manageable node.",
        adopt="Take over a machine that already runs.",
        abort="Stop what a node is doing.",
        wait="Wait until nodes come to rest.",
        maintenance="Set a node aside, or take it back.",
    ),
    **_verbs(
        "care",
        "Lifecycle",
        rescue="Boot a rescue system and let somebody in.",
        unrescue="End the rescue.",
        service="Work on an active node without taking its instance away.",
        unhold="Go on with work that holds.",
    ),
    **_verbs(
        "hardware",
        "Hardware",
        power="Read or change the power.",
        boot_device="Read or set the next boot device.",
        sensors="Read the BMC's sensors.",
        sel="Read the BMC's system event log.",
        inventory="Show what the agent found in the machine.",
        fru="Read the inventory that the BMC keeps.",
        identify="Blink the locator light.",
        nmi="Interrupt a machine that hangs.",
    ),
    **_verbs(
        "stories",
        "What happened",
        console="Stream the serial console.",
        timeline="Show where the time went.",
        why="Say what a node waits for, or why it failed.",
    ),
}

COMMANDS: Mapping[str, Entry] = {
    **_verbs(
        "local",
        "Start here",
        init="Create the appliance's state directory.",
        serve="Run the appliance.",
        doctor="Check the appliance and the way to it.",
    ),
    **_verbs(
        "sessions",
        "Start here",
        login="Log in and remember it.",
        logout="Forget the login.",
        whoami="Say who is logged in, and where.",
    ),
    "boot-files": Entry(
        summary="What machines load over the network.",
        table=_verbs("local", build="Build the agent's ramdisk and install it with iPXE."),
        section="Start here",
        example="rackwright boot-files build --state /var/lib/rackwright",
    ),
    "node": Entry(
        summary="Machines.",
        table=NODE,
        section="The rack",
        example="rackwright node deploy n1 --image debian-12 --ssh-key ~/.ssh/id_ed25519.pub --wait",
    ),
    "sighting": Entry(
        summary="Unknown machines that booted from the network.",
        table=_verbs("sightings", list_="List them.", delete="Forget one."),
        section="The rack",
        example="rackwright sighting list",
    ),
    "subnet": Entry(
        summary="Networks that the appliance serves.",
        table=_verbs(
            "subnets",
            create="Serve a network on an interface.",
            list_="List subnets.",
            show="Show one subnet.",
            delete="Stop serving a subnet.",
            leases="List the addresses that are lent.",
        ),
        section="The rack",
        example="rackwright subnet create rack1 --cidr 10.20.0.0/24 --pool 10.20.0.100-10.20.0.199 --interface eth1",
    ),
    "image": Entry(
        summary="Disk images.",
        table=_verbs(
            "images",
            build="Build an image here and upload it.",
            import_="Import an image from a file or a URL.",
            list_="List images.",
            show="Show one image.",
            delete="Delete images.",
        ),
        section="The rack",
        example="rackwright image import debian-12.qcow2 --name debian-12",
    ),
    "flow": Entry(
        summary="Work in progress.",
        table=_verbs("flows", list_="List work.", show="Show the steps of one piece of work."),
        section="What happens",
        example="rackwright flow list",
    ),
    "event": Entry(
        summary="The event log.",
        table=_verbs("events", list_="List or follow events."),
        section="What happens",
        example="rackwright event list --follow",
    ),
    "lab": Entry(
        summary="The virtual rack, and simulated fleets.",
        table=_verbs(
            "lab",
            up="Raise virtual machines with BMCs on a network of their own.",
            down="Take the virtual rack down.",
            status="Show the virtual rack.",
            simulate="Enroll a fleet that exists on paper only.",
        ),
        section="Try and test",
        example="rackwright lab simulate --racks 4 --nodes 160",
    ),
    **_verbs(
        "raw",
        "Try and test",
        api="Call the API and print the answer.",
        open_="Print the web console's address of a node.",
        explain="Explain a state or an error code.",
        completion="Print the completion script for a shell.",
        help_="Help on a topic, such as exit-codes.",
    ),
}

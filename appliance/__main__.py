"""`python -m appliance`: the same as the `rackwright` command."""

import sys

from appliance.main.cli import main

if __name__ == "__main__":
    sys.exit(main())

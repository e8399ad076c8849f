"""What control tells and asks routers about instances, and what they answer.

At each router's own socket:

    POST /instances/doubt   {"address": "unix:/…/http.sock", "seconds": 10.0}
        200 {"underway": 3}     requests that this router has there
    POST /instances/left    {"addresses": ["unix:/…/http.sock"]}
        200 {"left": true}      none is under way at any of them, and none will be

For as many seconds as its health is in doubt no request goes to an instance while another of the variant can answer; 0:
it is well again. A doubt lapses by itself, so that no instance stays without requests because control has gone.
"""

from __future__ import annotations

DOUBT, LEFT = "/instances/doubt", "/instances/left"

"""What control tells routers of an instance whose health is in doubt, and what they answer.

At each router's own socket:

    POST /instances/doubt   {"address": "unix:/…/http.sock", "seconds": 10.0}
        200 {"underway": 3}     requests that this router has there

For so many seconds no request goes there while another instance of the variant can answer; 0: it is well again. A doubt
lapses by itself, so that no instance stays without requests because control has gone.
"""

from __future__ import annotations

DOUBT = "/instances/doubt"

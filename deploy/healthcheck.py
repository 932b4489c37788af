"""Asks /healthz of the daemon in this container; exits 1 and says why when it is not well.

FERSTREAM_HEALTH_URL and FERSTREAM_HEALTH_TOKEN_FILE tell where and with what, if not the usual.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

url = os.environ.get("FERSTREAM_HEALTH_URL", "http://127.0.0.1:9108/healthz")
token = Path(os.environ.get("FERSTREAM_HEALTH_TOKEN_FILE", "/run/secrets/http_token"))
headers = {"Authorization": f"Bearer {token.read_text(encoding='ascii').strip()}"} if token.is_file() else {}
try:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=4) as answer:
        print(answer.status)
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code}: {error.read(2000).decode(errors='replace')}")
except OSError as error:
    sys.exit(str(error))

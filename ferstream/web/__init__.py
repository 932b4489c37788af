"""The page: what people see of the daemon in a browser, and the HTTP API ``/api/1/`` that the page uses."""

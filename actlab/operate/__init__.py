"""A whole lab on one machine, as child processes: present where the server's parts are installed."""

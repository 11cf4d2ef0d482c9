"""The web console: server-made pages over the services of the API, live without a reload, readable without scripts.

Pages decide nothing. A token of the API lives in a cookie (HttpOnly, Secure, SameSite=Lax); every form carries a CSRF
token bound to it. Not here: any mutation that the native API does not have.
"""

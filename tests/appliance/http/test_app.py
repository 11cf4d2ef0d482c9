from appliance.http.app import operator_app


def test_a_url_can_still_be_built(appliance):
    """What builds it is compiled late; nothing but tests and Flask's own redirects would notice."""
    app = operator_app(appliance.context)
    with app.test_request_context():
        assert app.url_for("node_show", ref="n 1") == "/v1/nodes/n%201"
        assert app.url_for("node_list", limit=5) == "/v1/nodes?limit=5"

"""What the tests of the views share that change things: an admin password and pages that know it."""

import base64

PASSWORD = "correct horse"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()}


def set_password(gateway):
    """Give the gateway the password, unless it has it."""
    if not gateway.http("/api/auth/status").json["password_set"]:
        reply = gateway.http("/api/auth/password", "POST", {"password": PASSWORD}, timeout=30)
        assert reply.status == 200, reply.body


def log_in(page):
    """The page knows the password from now on."""
    page.add_init_script(f"sessionStorage.setItem('tinybms.login', '{BASIC['Authorization']}')")
    page.reload()
    page.wait_for_selector("#link[data-state=live]")


def config(gateway):
    return gateway.http("/api/config", headers=BASIC).json


def said(page, key):
    """The small words below the field of a configuration key."""
    return page.inner_text(f"#f-{key.replace('.', '-')}-said")


def field(page, key):
    return page.locator(f"#f-{key.replace('.', '-')}")


def card(page, name):
    return page.locator(f"#card-{name}")

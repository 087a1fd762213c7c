#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An S3 server for the demo and the tests: OpenStack Swift with its s3api, in one process on loopback.

usage: s3-server.py DIR PORT

Serves S3 on 127.0.0.1:PORT and uses the three ports after it for itself. The one user is given by
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the region by CRESS_S3_REGION; CRESS_S3_BUCKET names a
bucket that exists before the first request is answered. Ends on SIGTERM.

DESIGN
Swift is four servers: the proxy, which speaks S3, and behind it one each for accounts, containers
(buckets) and objects. All four run here as green threads. Their configuration and all data live
below DIR; /etc/swift is not read. Needs Debian's python3-swift, and a file system with user
extended attributes below DIR (ext4, xfs, btrfs, and tmpfs since Linux 6.6).
"""
import errno
import hashlib
import json
import os
import pwd
import signal
import socket
import sys
from time import monotonic

import eventlet

eventlet.monkey_patch()

# Below the patching, so that what these import is patched too.
from eventlet import wsgi  # noqa: E402
from swift.common import storage_policy, utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.swob import HTTPUnauthorized  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp, make_pre_authed_request  # noqa: E402

HOST = "127.0.0.1"
BACKENDS = ("account", "container", "object")
DEVICE = "disk"
ACCOUNT = "AUTH_cress"

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = {prefix}
[storage-policy:0]
name = one
default = yes
"""

BACKEND_CONF = """\
[DEFAULT]
swift_dir = {etc}
devices = {data}
user = {user}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = WARNING
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{name}
"""

PROXY_CONF = """\
[DEFAULT]
swift_dir = {etc}
user = {user}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper cache s3api auth copy bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
paste.filter_factory = __main__:cache_filter
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:auth]
paste.filter_factory = __main__:auth_filter
[filter:copy]
use = egg:swift#copy
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""


class Cache:
    """As much of a memcached client as the proxy uses: without one it asks the account and the
    container server again for every request."""

    def __init__(self):
        self.items = {}

    def get(self, key, **_options):
        text, end = self.items.get(key, (None, 0))
        if text is None or end < monotonic():
            self.items.pop(key, None)
            return None
        return json.loads(text)

    def set(self, key, value, time=60, **_options):
        self.items[key] = (json.dumps(value), monotonic() + time)

    def delete(self, key, **_options):
        self.items.pop(key, None)


def cache_filter(_global_conf, **_conf):
    cache = Cache()

    def make(app):
        def call(env, start_response):
            env["swift.cache"] = cache
            return app(env, start_response)
        return call
    return make


def auth_filter(_global_conf, **_conf):
    """One user, who may do everything. Swift's own tempauth would do, but for its access keys of the
    form account:user, which `curl --user` cannot express."""
    key_id = os.environ["AWS_ACCESS_KEY_ID"]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]

    def make(app):
        def call(env, start_response):
            if env.get("swift.authorize_override"):  # Swift's request to itself: make_bucket()
                return app(env, start_response)
            s3 = env.get("s3api.auth_details")
            if not s3 or s3["access_key"] != key_id or not s3["check_signature"](secret):
                return HTTPUnauthorized()(env, start_response)
            env["PATH_INFO"] = env["PATH_INFO"].replace(key_id, ACCOUNT, 1)
            env["REMOTE_USER"] = ACCOUNT
            env["swift_owner"] = True
            env["swift.authorize"] = lambda request: None
            return app(env, start_response)
        return call
    return make


def write_file(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def check_attributes(folder):
    """Swift keeps an object's metadata in extended attributes; say so before it fails on the first
    upload."""
    try:
        os.setxattr(folder, "user.cress", b"1")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        sys.exit(f"{folder}: this file system has no user extended attributes; use another --dir")


def configure(root, ports):
    """Writes what the four servers read, and points Swift at it."""
    etc, data = os.path.join(root, "etc"), os.path.join(root, "data")
    os.makedirs(etc, exist_ok=True)
    os.makedirs(os.path.join(data, DEVICE), exist_ok=True)
    check_attributes(data)
    # The prefix goes into every path on disk: it must be the same at the next start.
    prefix = hashlib.sha256(os.environ["AWS_ACCESS_KEY_ID"].encode()).hexdigest()
    write_file(os.path.join(etc, "swift.conf"), SWIFT_CONF.format(prefix=prefix))
    user = pwd.getpwuid(os.getuid()).pw_name
    for name in BACKENDS:
        ring = RingBuilder(1, 1, 0)
        ring.add_dev({"region": 1, "zone": 1, "ip": HOST, "port": ports[name], "device": DEVICE,
                      "replication_ip": HOST, "replication_port": ports[name], "weight": 1.0,
                      "meta": ""})
        ring.rebalance(seed="1")
        ring.get_ring().save(os.path.join(etc, name + ".ring.gz"))
        write_file(os.path.join(etc, name + ".conf"),
                   BACKEND_CONF.format(etc=etc, data=data, user=user, name=name))
    write_file(os.path.join(etc, "proxy.conf"),
               PROXY_CONF.format(etc=etc, user=user, region=os.environ["CRESS_S3_REGION"]))
    if utils.set_swift_dir(etc):
        storage_policy.reload_storage_policies()
    return etc


def serve(app, listener):
    return eventlet.spawn(wsgi.server, listener, app, log_output=False, protocol=SwiftHttpProtocol,
                          capitalize_response_headers=False, socket_timeout=60.0, max_size=256)


def listen(port):
    listener = eventlet.listen((HOST, port), backlog=256)
    # Inherited by what it accepts. Without it Nagle's algorithm costs 40 ms a request.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def make_bucket(proxy, bucket):
    request = make_pre_authed_request({"swift.cache": Cache()}, "PUT", f"/v1/{ACCOUNT}/{bucket}")
    response = request.get_response(proxy)
    if not response.is_success:
        sys.exit(f"cannot make the bucket {bucket}: {response.status}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    root, port = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    ports = {name: port + i for i, name in enumerate(("proxy",) + BACKENDS)}
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    etc = configure(root, ports)
    apps = {name: loadapp(os.path.join(etc, name + ".conf"), global_conf={"log_name": name})
            for name in ports}
    for name in BACKENDS:
        serve(apps[name], listen(ports[name]))
    make_bucket(apps["proxy"], os.environ["CRESS_S3_BUCKET"])
    front = serve(apps["proxy"], listen(port))
    print(f"ready http://{HOST}:{port}", flush=True)
    front.wait()


if __name__ == "__main__":
    main()

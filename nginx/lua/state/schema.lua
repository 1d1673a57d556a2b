-- What an app's record consists of: each field once, with its type, what holds where it is not given, and the feature by which
-- a CLI learns that this proxy knows it. How a record is checked (control/validate.lua), written and read (record.lua), and the
-- features (control/overview.lua) follow from this table. `src/model/settings.rs` is the other side.
local ranges = require "ranges"
local types = require "state.types"

local integer, list, object, refuse, text = types.integer, types.list, types.object, types.refuse, types.text

local _M = { NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$" }

local MOST_ROUTES, MOST_PEERS, MOST_NUMBER = 256, 1000, 2 ^ 31
local LONGEST_HOLD_MS = 3600000
-- They are tried one after the other.
local MOST_REDIRECTS = 64
local MOST_HEADERS, MOST_RANGES = 32, 256
local MOST_BYTES = 2 ^ 50
local LONGEST_TIME_MS = 86400000
local MOST_REQUESTS = 1000000
local MOST_USERS = 256
local LONGEST_PAGE = 64 * 1024
local LONGEST_PAUSE_MS = 600000
local MOST_MS = 2 ^ 53

-- Features that are no fields: calls.
local CALLS = { "releases", "certificates", "acme" }

local host = types.text_like("^[%w*.:%[%]_-]+$", 253, function(value, field)
    local name = value:lower()
    local bare = name:gsub("^%*%.", "")
    if bare == "" or bare:find("*", 1, true) or bare:find("..", 1, true) or bare:find("^[.-]") or bare:find("[.-]$")
        or bare:find(":", 1, true) and not bare:find("^%[[%x:.]+%]$") then
        refuse(field, "is not a host name, optionally with `*.` before it, without a port")
    end
    return name
end)

local path = types.text_like("^/[^%c%s?#]*$", 1024, function(value, field)
    if value:find("//", 1, true) or value:find("/%.%.?/") or value:find("/%.%.?$") or value:find("%%") then
        refuse(field, "is not a plain path: no `//`, `.`, `..` or `%`")
    end
    return value == "/" and value or (value:gsub("/$", ""))
end)

-- Only literal addresses: a name would have to be resolved while a request waits.
local address = types.text_like("^[%x.:]+$", 45, function(value, field)
    local a, b, c, d = value:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    local is_v4 = a and tonumber(a) < 256 and tonumber(b) < 256 and tonumber(c) < 256 and tonumber(d) < 256
    if not is_v4 and not value:find("^[%x:]*:[%x:]*:[%x:.]*$") then
        refuse(field, "is not an IP address")
    end
    return value
end)

local version = text("^[^%c]*$", 256)

-- That the route is for HTTPS, and the seconds of HSTS. The certificate of its host comes by a call of its own.
local TLS = object {
    { "redirect", types.flag },
    { "hsts", integer(0, MOST_NUMBER), optional = true },
}

local ROUTE = object {
    { "host", host, optional = true },
    { "path", path, default = "/" },
    { "strip", types.flag, default = false },
    { "tls", TLS, feature = "certificates" },
}

-- A certificate is for a host.
local check_route = ROUTE.check
function ROUTE.check(value, field)
    local checked = check_route(value, field)
    if checked.tls and not checked.host then
        refuse(field .. ".tls", "needs a host")
    end
    return checked
end

_M.HOST = host

local PEER = object {
    { "id", text(_M.NAME, 255) },
    { "address", address },
    { "port", integer(1, 65535), optional = true },
    { "release", integer(1, MOST_NUMBER) },
    { "replica", integer(0, MOST_NUMBER) },
    { "version", version },
}

-- What is sent elsewhere (traffic/rules.lua). No bracket, quote or control character comes into the header `Location`.
local REDIRECT = object {
    { "host", host, optional = true },
    { "path", path, default = "/" },
    { "to", text("^[%w/][%w%-._~:/%%!$&'()*+,;=@]*$", 1024) },
    { "status", types.choice { 301, 302, 307, 308 } },
}

local FRAMING = {
    connection = true, ["content-length"] = true, ["keep-alive"] = true, te = true, trailer = true,
    ["transfer-encoding"] = true, upgrade = true,
}

-- Of the app's answers. No name changes how an answer is framed, and no value ends its line.
local HEADER_NAME = types.text_like("^[A-Za-z][A-Za-z0-9-]*$", 64, function(value, field)
    if FRAMING[value:lower()] then
        refuse(field, "is nginx's own")
    end
    return value
end)
local HEADER = object {
    { "name", HEADER_NAME },
    { "value", text("^[ -~]*$", 4096) },
}
local RESPONSE_HEADERS = object {
    { "set", list(HEADER, MOST_HEADERS), default = {} },
    { "remove", list(HEADER_NAME, MOST_HEADERS), default = {} },
}

local RANGE = types.text_like("^[%x.:/]+$", 49, function(value, field)
    if not ranges.range(value) then
        refuse(field, "is not an address or a network")
    end
    return value
end)
local ACCESS = object {
    { "allow", list(RANGE, MOST_RANGES), default = {} },
    { "deny", list(RANGE, MOST_RANGES), default = {} },
}

-- For how long nginx waits between two reads or writes of the app's connection.
local TIMEOUTS = object {
    { "read_ms", integer(1, LONGEST_TIME_MS), optional = true },
    { "send_ms", integer(1, LONGEST_TIME_MS), optional = true },
}

-- A bucket of `burst` tokens for each client, which gets `requests` of them in `per_ms`.
local RATE_LIMIT = object {
    { "requests", integer(1, MOST_REQUESTS) },
    { "per_ms", integer(1000, LONGEST_TIME_MS) },
    { "burst", integer(1, MOST_REQUESTS) },
}

-- A page that somebody else has written. A browser does not guess what it is.
local PAGE = object {
    { "type", types.choice { "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8" } },
    { "body", text("", LONGEST_PAGE) },
}

-- In place of what the proxy itself answers with; all of an app's may have so many bytes.
local ERROR_PAGE = object {
    { "status", types.choice { 401, 403, 413, 429, 500, 502, 503, 504 } },
    { "type", types.choice { "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8" } },
    { "body", text("", LONGEST_PAGE) },
}
local ERROR_PAGES = list(ERROR_PAGE, 8, function(page) return page.status end, "a status")

-- By whom, and since when: for those who ask.
local MAINTENANCE = object {
    { "since_ms", integer(0, MOST_MS) },
    { "by", version },
    { "retry_after_s", integer(1, LONGEST_TIME_MS / 1000) },
    { "allow", list(RANGE, MOST_RANGES), default = {} },
    { "page", PAGE, optional = true },
}
local PAUSE = object {
    { "until_ms", integer(0, MOST_MS) },
    -- However the clock is changed, no request waits for longer.
    { "for_ms", integer(1, LONGEST_PAUSE_MS) },
    { "by", version },
}

-- Names with bcrypt hashes; `digest` is of all of them.
local AUTH_USER = object {
    { "name", text("^[^%c:]+$", 128) },
    { "hash", text("^%$2[aby]%$[01]%d%$[A-Za-z0-9./]+$", 60) },
}
local AUTH_USERS = list(AUTH_USER, MOST_USERS, function(user) return user.name end, "a name")
local BASIC_AUTH = object {
    { "realm", text("^[ !#-Z%[%]^-~]+$", 128) },
    { "forward", types.flag },
    { "digest", text("^%x+$", 64) },
    { "users", AUTH_USERS },
}

-- Nobody at all is more likely a mistake.
local check_users = AUTH_USERS.check
function AUTH_USERS.check(value, field)
    local checked = check_users(value, field)
    if #checked == 0 then
        refuse(field, "names nobody")
    end
    return checked
end

-- How many replicas somebody asked for by hand, and what the compose file said then.
local SCALE = object {
    { "replicas", integer(0, MOST_PEERS) },
    { "file", integer(0, MOST_PEERS), optional = true },
}

-- What a tester's requests have: a header or a cookie with this value.
local MATCH = object {
    { "header", types.text("^[A-Za-z][A-Za-z0-9-]*$", 64), optional = true },
    { "cookie", types.text("^[A-Za-z0-9_]+$", 64), optional = true },
    { "value", types.text("^[!-~]+$", 256) },
}

-- A release that gets a share of the requests: `weight` of 10,000. Its peers stand among the others. Without both it is what
-- served before (state/canary.lua).
local CANARY = object {
    { "release", integer(1, MOST_NUMBER) },
    { "weight", integer(1, 9999) },
    { "sticky", types.choice { "cookie", "client", "none" }, default = "none" },
    { "match", MATCH, optional = true },
}

local function route_key(route)
    return (route.host or "*") .. " " .. route.path
end

local function peer_id(peer)
    return peer.id
end

_M.ROUTES = list(ROUTE, MOST_ROUTES, route_key, "a route")

_M.RECORD = object {
    { "project", text(_M.NAME, 100) },
    { "app", text(_M.NAME, 100) },
    { "release", integer(1, MOST_NUMBER) },
    { "version", version },
    { "routes", _M.ROUTES },
    { "balance", types.choice { "least_connections", "round_robin" }, default = "least_connections" },
    { "hold_ms", integer(0, LONGEST_HOLD_MS), default = 0 },
    -- What somebody has switched on and somebody switches off: neither is part of a release.
    { "maintenance", MAINTENANCE, feature = "maintenance" },
    { "pause", PAUSE, feature = "pause" },
    -- Kept for the CLI; the proxy itself does nothing with it.
    { "scale", SCALE, feature = "scale" },
    -- Where each replica tells its own metrics; only targets.lua reads it.
    { "metrics", text("^/[^%c%s#]*$", 1024), feature = "targets" },
    { "redirects", list(REDIRECT, MOST_REDIRECTS), feature = "redirects" },
    { "response_headers", RESPONSE_HEADERS, feature = "response_headers" },
    { "access", ACCESS, feature = "access" },
    { "max_body_size", integer(1, MOST_BYTES), feature = "max_body_size" },
    { "timeouts", TIMEOUTS, feature = "timeouts" },
    { "rate_limit", RATE_LIMIT, feature = "rate_limit" },
    { "basic_auth", BASIC_AUTH, feature = "basic_auth" },
    { "error_pages", ERROR_PAGES, feature = "error_pages" },
    { "canary", CANARY, feature = "canary" },
    { "peers", list(PEER, MOST_PEERS, peer_id, "a peer's id") },
}

-- With a canary there are two releases, and neither is without a peer.
local check_record = _M.RECORD.check
function _M.RECORD.check(value, field)
    local checked = check_record(value, field)
    local canary = checked.canary
    local counts = { [true] = 0, [false] = 0 }
    for _, peer in ipairs(canary and checked.peers or {}) do
        local is_canary = peer.release == canary.release
        counts[is_canary] = counts[is_canary] + 1
    end
    if canary and (counts[true] == 0 or counts[false] == 0 or canary.release == checked.release) then
        refuse("canary", "needs peers of its release and of what serves beside it")
    end
    return checked
end

-- What was added to API 1 since its first proxies: a CLI asks before it uses one of these.
function _M.features()
    local found = { unpack(CALLS) }
    for _, field in ipairs(_M.RECORD.fields) do
        found[#found + 1] = field.feature
    end
    table.sort(found)
    return found
end

return _M

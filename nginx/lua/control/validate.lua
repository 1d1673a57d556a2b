-- Checks an app's record field by field. What it returns is canonical; what it refuses names the field. An unknown
-- field is refused too: a newer CLI must learn that this proxy would not do what the field asks for.
local json = require "json"

local _M = {}

local NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
local BALANCES = { least_connections = true, round_robin = true }
local MOST_ROUTES, MOST_PEERS = 256, 1000
local LONGEST_HOLD_MS = 3600000

local function refuse(field, message)
    error({ field = field, message = message }, 0)
end

local function given(value)
    return value ~= nil and value ~= json.null
end

local function only_fields(object, field, known)
    if type(object) ~= "table" then
        refuse(field, "is not an object")
    end
    for name in pairs(object) do
        if not known[name] then
            refuse((field == "" and "" or field .. ".") .. tostring(name), "is not a field of API 1")
        end
    end
end

local function list(value, field, most)
    if type(value) ~= "table" or #value == 0 and next(value) ~= nil then
        refuse(field, "is not a list")
    end
    if #value > most then
        refuse(field, ("has %d entries, the limit is %d"):format(#value, most))
    end
    return value
end

local function text(value, field, pattern, longest)
    if type(value) ~= "string" or #value > longest or not value:find(pattern) then
        refuse(field, ("is not a valid text of at most %d bytes"):format(longest))
    end
    return value
end

local function integer(value, field, least, most)
    if type(value) ~= "number" or value ~= math.floor(value) or value < least or value > most then
        refuse(field, ("is not a whole number from %d to %d"):format(least, most))
    end
    return value
end

local function version(value, field)
    return text(value, field, "^[^%c]*$", 256)
end

local function host(value, field)
    if not given(value) then
        return nil
    end
    text(value, field, "^[%w*.:%[%]_-]+$", 253)
    local name = value:lower()
    local bare = name:gsub("^%*%.", "")
    if bare == "" or bare:find("*", 1, true) or bare:find("..", 1, true) or bare:find("^[.-]") or bare:find("[.-]$")
        or bare:find(":", 1, true) and not bare:find("^%[[%x:.]+%]$") then
        refuse(field, "is not a host name, optionally with `*.` before it, without a port")
    end
    return name
end

local function path(value, field)
    text(value, field, "^/[^%c%s?#]*$", 1024)
    if value:find("//", 1, true) or value:find("/%.%.?/") or value:find("/%.%.?$") or value:find("%%") then
        refuse(field, "is not a plain path: no `//`, `.`, `..` or `%`")
    end
    return value == "/" and value or (value:gsub("/$", ""))
end

local ROUTE = { host = true, path = true, strip = true }

local function route(value, field)
    only_fields(value, field, ROUTE)
    if given(value.strip) and type(value.strip) ~= "boolean" then
        refuse(field .. ".strip", "is not true or false")
    end
    return {
        host = host(value.host, field .. ".host"),
        path = path(given(value.path) and value.path or "/", field .. ".path"),
        strip = value.strip == true,
    }
end

-- Only literal addresses: a name would have to be resolved while a request waits.
local function address(value, field)
    text(value, field, "^[%x.:]+$", 45)
    local a, b, c, d = value:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    local is_v4 = a and tonumber(a) < 256 and tonumber(b) < 256 and tonumber(c) < 256 and tonumber(d) < 256
    if not is_v4 and not value:find("^[%x:]*:[%x:]*:[%x:.]*$") then
        refuse(field, "is not an IP address")
    end
    return value
end

local PEER = { id = true, address = true, port = true, release = true, replica = true, version = true }

local function peer(value, field)
    only_fields(value, field, PEER)
    return {
        id = text(value.id, field .. ".id", NAME, 255),
        address = address(value.address, field .. ".address"),
        port = given(value.port) and integer(value.port, field .. ".port", 1, 65535) or nil,
        release = integer(value.release, field .. ".release", 1, 2 ^ 31),
        replica = integer(value.replica, field .. ".replica", 0, 2 ^ 31),
        version = version(value.version, field .. ".version"),
    }
end

local function unique(items, field, key_of, what)
    local seen = {}
    for position, item in ipairs(items) do
        local key = key_of(item)
        if seen[key] then
            refuse(("%s[%d]"):format(field, position - 1), "repeats " .. what)
        end
        seen[key] = true
    end
end

local SCALE = { replicas = true, file = true }

-- Kept for the CLI: how many replicas somebody asked for by hand. The proxy itself does nothing with it.
local function scale(value)
    if not given(value) then
        return nil
    end
    only_fields(value, "scale", SCALE)
    return {
        replicas = integer(value.replicas, "scale.replicas", 0, MOST_PEERS),
        file = given(value.file) and integer(value.file, "scale.file", 0, MOST_PEERS) or nil,
    }
end

-- Where each replica tells its own metrics; only targets.lua reads it.
local function metrics(value)
    return given(value) and text(value, "metrics", "^/[^%c%s#]*$", 1024) or nil
end

local RECORD = { project = true, app = true, release = true, version = true, routes = true, balance = true,
    hold_ms = true, scale = true, metrics = true, peers = true }

local function record(value)
    only_fields(value, "", RECORD)
    local checked = {
        project = text(value.project, "project", NAME, 100),
        app = text(value.app, "app", NAME, 100),
        release = integer(value.release, "release", 1, 2 ^ 31),
        version = version(value.version, "version"),
        balance = given(value.balance) and value.balance or "least_connections",
        hold_ms = given(value.hold_ms) and integer(value.hold_ms, "hold_ms", 0, LONGEST_HOLD_MS) or 0,
        scale = scale(value.scale),
        metrics = metrics(value.metrics),
        routes = {},
        peers = {},
    }
    if not BALANCES[checked.balance] then
        refuse("balance", "is neither `least_connections` nor `round_robin`")
    end
    for position, item in ipairs(list(value.routes, "routes", MOST_ROUTES)) do
        checked.routes[position] = route(item, ("routes[%d]"):format(position - 1))
    end
    for position, item in ipairs(list(value.peers, "peers", MOST_PEERS)) do
        checked.peers[position] = peer(item, ("peers[%d]"):format(position - 1))
    end
    unique(checked.routes, "routes", function(item) return (item.host or "*") .. " " .. item.path end, "a route")
    unique(checked.peers, "peers", function(item) return item.id end, "a peer's id")
    return checked
end

-- Returns the canonical record, or nil and { field, message }.
function _M.record(value)
    local ok, result = pcall(record, value)
    if ok then
        return result
    end
    return nil, type(result) == "table" and result or error(result, 0)
end

-- Is this the key of an app, "<project>/<app>"?
function _M.is_app_key(key)
    if type(key) ~= "string" then
        return false
    end
    local project, app = key:match("^([^/]+)/([^/]+)$")
    return project ~= nil and #project <= 100 and #app <= 100
        and project:find(NAME) ~= nil and app:find(NAME) ~= nil
end

return _M

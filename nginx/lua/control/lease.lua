-- Leases: who may flip an app. A lease lives as long as the connection that took it, at most 15 s after the last
-- heartbeat. It is not on disk: when the proxy restarts, its owner takes it again with the same token.
local refuse = require("control.problem").refuse
local instance = require "handover.instance"
local json = require "json"
local validate = require "control.validate"

local dict = ngx.shared.leases

local _M = {}

local HEARTBEAT_MS, EXPIRES_MS = 5000, 15000
-- How often a held connection looks whether its lease has run out.
local LOOK_S = 1

local function read(app)
    local text = dict:get("app:" .. app)
    return text and json.decode(text)
end

function _M.holds(token, app)
    local lease = type(token) == "string" and read(app)
    return lease and lease.token == token or false
end

-- The token of the app's lease; nil when nobody has it.
function _M.token(app)
    local lease = read(app)
    return lease and lease.token
end

-- Frees what this very connection holds: a lease that was taken up again elsewhere with its token stays.
local function release(holder, names)
    for _, app in ipairs(names) do
        local lease = read(app)
        if lease and lease.holder == holder then
            dict:delete("app:" .. app)
        end
    end
end

function _M.refuse_held(app, lease)
    local age_ms = math.floor(ngx.now() * 1000) - lease.since
    refuse(409, "lease_held",
        ("`%s` is leased by `%s` on `%s` for %d ms"):format(app, lease.owner, lease.host, age_ms),
        { app = app, owner = lease.owner, host = lease.host, purpose = lease.purpose, age_ms = age_ms })
end

local function check(body)
    if type(body.apps) ~= "table" or #body.apps == 0 then
        refuse(422, "invalid_lease", "`apps` is not a list of apps", { field = "apps" })
    end
    for _, app in ipairs(body.apps) do
        if not validate.is_app_key(app) then
            refuse(422, "invalid_lease", "`apps` has an entry that is not `<project>/<app>`",
                { field = "apps" })
        end
    end
    for _, field in ipairs({ "owner", "host", "purpose" }) do
        if type(body[field]) ~= "string" or #body[field] > 256 then
            refuse(422, "invalid_lease", ("`%s` is not a text of at most 256 bytes"):format(field),
                { field = field })
        end
    end
    if body.token ~= nil and (type(body.token) ~= "string" or not body.token:find("^%x+$") or #body.token ~= 32) then
        refuse(422, "invalid_lease", "`token` is not one that a lease gave", { field = "token" })
    end
end

local function new_token()
    local file = assert(io.open("/dev/urandom", "rb"))
    local bytes = file:read(16)
    file:close()
    return (bytes:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

-- All apps or none. In order of name: of two that want the same apps, one gets them all.
local function grant(token, holder, body)
    local names, taken = {}, {}
    for position, app in ipairs(body.apps) do
        names[position] = app
    end
    table.sort(names)
    local text = json.encode({ token = token, holder = holder, owner = body.owner, host = body.host,
        purpose = body.purpose, since = math.floor(ngx.now() * 1000) })
    for _, app in ipairs(names) do
        local ok, problem = dict:safe_add("app:" .. app, text, EXPIRES_MS / 1000)
        if ok then
            taken[#taken + 1] = app
        elseif problem ~= "exists" then
            release(holder, taken)
            refuse(507, "too_many_leases", "the proxy's table of leases is full")
        elseif _M.holds(token, app) then
            dict:set("app:" .. app, text, EXPIRES_MS / 1000)
            taken[#taken + 1] = app
        else
            local other = read(app)
            release(holder, taken)
            _M.refuse_held(app, other or { owner = "", host = "", purpose = "", since = math.floor(ngx.now() * 1000) })
        end
    end
    dict:set("token:" .. token, table.concat(names, "\n"), EXPIRES_MS / 1000)
    return names
end

-- Only what is still held is prolonged; returns the first app that is not.
local function prolong(token, names)
    for _, app in ipairs(names) do
        if not _M.holds(token, app) or not dict:expire("app:" .. app, EXPIRES_MS / 1000) then
            return app
        end
    end
    dict:expire("token:" .. token, EXPIRES_MS / 1000)
end

local function first_lost(holder, names)
    for _, app in ipairs(names) do
        local lease = read(app)
        if not lease or lease.holder ~= holder then
            return app
        end
    end
end

-- Grants a lease and keeps the answer open: the end of this connection, on either side, is the end of the lease.
-- `clear(names, is_resumed)` runs in between, and may refuse.
function _M.take(body, clear)
    check(body)
    local token = body.token or new_token()
    local holder = new_token()
    local names = grant(token, holder, body)
    -- A hand-over looks for leases after it has changed the phase, and this the other way round.
    if not instance.is_serving() then
        release(holder, names)
        refuse(503, "busy", "the proxy is being handed over")
    end
    assert(ngx.on_abort(function()
        release(holder, names)
        ngx.exit(499)
    end))
    -- Whoever comes next never sees another's canary.
    local is_clear, refusal = pcall(clear, names, body.token ~= nil)
    if not is_clear then
        release(holder, names)
        error(refusal, 0)
    end
    ngx.header["Content-Type"] = "application/json"
    ngx.say(('{"token":"%s","heartbeat_ms":%d,"expires_ms":%d}'):format(token, HEARTBEAT_MS, EXPIRES_MS))
    ngx.flush(true)
    local lost
    repeat
        ngx.sleep(LOOK_S)
        lost = first_lost(holder, names)
    until lost
    release(holder, names)
    ngx.say(('{"error":{"code":"lease_lost","message":"no heartbeat came in time, or another connection took the lease up",'
        .. '"app":%s}}'):format(json.encode(lost)))
end

function _M.heartbeat(body)
    local names = type(body.token) == "string" and dict:get("token:" .. body.token)
    if not names then
        refuse(410, "lease_lost", "there is no lease with this token")
    end
    local list = {}
    for app in names:gmatch("%S+") do
        list[#list + 1] = app
    end
    local lost = prolong(body.token, list)
    if lost then
        refuse(410, "lease_lost", ("the lease of `%s` is not held any more"):format(lost), { app = lost })
    end
    return ('{"expires_ms":%d}'):format(EXPIRES_MS)
end

-- Some lease that is held: its app and what is known of it; nil when there is none.
function _M.first()
    for _, key in ipairs(dict:get_keys(0)) do
        local app = key:match("^app:(.+)$")
        local found = app and read(app)
        if found then
            return app, found
        end
    end
end

-- All leases as JSON texts, without their tokens: who reads them is not who holds them.
function _M.texts()
    local found = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local app = key:match("^app:(.+)$")
        local lease = app and read(app)
        if lease then
            found[#found + 1] = ('{"app":%s,"owner":%s,"host":%s,"purpose":%s,"since":%d}'):format(json.encode(app),
                json.encode(lease.owner), json.encode(lease.host), json.encode(lease.purpose), lease.since)
        end
    end
    table.sort(found)
    return found
end

return _M

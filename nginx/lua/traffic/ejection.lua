-- Peers that cannot be reached are left out until they can be. All workers share what one has found out, and a
-- background connection finds out when the peer is back, so that no request pays for trying.
local current = require "traffic.current"
local json = require "json"

local dict = ngx.shared.ejections

local _M = {}

local FIRST_TRIAL_S, LONGEST_PAUSE_S = 0.25, 5
local TRIAL_TIMEOUT_MS = 1000
-- An ejection whose worker died is over after this.
local EXPIRES_S = 15
-- How old this worker's view may be.
local LOOK_S = 0.05

local ejected, seen_version, seen_at = {}, 0, 0

local function look()
    local now = ngx.now()
    if now - seen_at < LOOK_S then
        return
    end
    seen_at = now
    local version = dict:get("version") or 0
    -- What expires moves no version.
    if version ~= seen_version or next(ejected) then
        seen_version, ejected = version, _M.all()
    end
end

-- May the peer be picked? Called for each request and peer, so it asks shared memory now and then only.
function _M.allows(peer)
    look()
    return not ejected[peer.id]
end

local function forget(peer)
    dict:delete("peer:" .. peer.id)
    dict:incr("version", 1, 0)
end

local function is_registered(peer)
    local app = current.app(peer.app)
    for _, known in ipairs(app and app.peers or {}) do
        if known.id == peer.id then
            return true
        end
    end
    return false
end

local function try(premature, peer, pause)
    if premature or not is_registered(peer) then
        return forget(peer)
    end
    local socket = ngx.socket.tcp()
    socket:settimeout(TRIAL_TIMEOUT_MS)
    local address = peer.address:find(":", 1, true) and "[" .. peer.address .. "]" or peer.address
    local is_back = socket:connect(address, peer.port)
    socket:close()
    if is_back then
        ngx.log(ngx.NOTICE, "`", peer.id, "` can be reached again")
        return forget(peer)
    end
    dict:set("peer:" .. peer.id, true, EXPIRES_S)
    pause = math.min(pause * 2, LONGEST_PAUSE_S)
    ngx.timer.at(pause, try, peer, pause)
end

-- The peer could not be reached. Returns true for the one who ejects it.
function _M.eject(peer)
    ejected[peer.id] = true
    if not dict:safe_add("peer:" .. peer.id, true, EXPIRES_S) then
        return false
    end
    dict:incr("version", 1, 0)
    ngx.log(ngx.WARN, "`", peer.id, "` cannot be reached and is left out")
    ngx.timer.at(FIRST_TRIAL_S, try, peer, FIRST_TRIAL_S)
    return true
end

-- All that are left out now: their ids as keys.
function _M.all()
    local found = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local id = key:match("^peer:(.*)$")
        if id and dict:get(key) then
            found[id] = true
        end
    end
    return found
end

-- The ids of all that are left out now, as JSON texts.
function _M.texts()
    local found = {}
    for id in pairs(_M.all()) do
        found[#found + 1] = json.encode(id)
    end
    table.sort(found)
    return found
end

return _M

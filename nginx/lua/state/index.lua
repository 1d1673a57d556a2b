-- The index from hosts to apps: the writing side (routes.lua reads). It changes only when an app's routes do, so the
-- flip of a new release leaves every worker's cache of it as it is.
--   h:<host>     routes that name this host or wildcard; `*` alone is any host: [{ app, path, strip, tls }, …]
--   n:<name>     apps of this bare name, for calls between apps: ["project/name", …]
--   p:<address>  the project whose peer has this address
local json = require "json"
local apps = require "state.apps"
local record = require "state.record"

local dict = ngx.shared.apps

-- A replica that was flipped out still finishes its requests, and may call other apps to do so.
local KEEP_ADDRESS_S = 86400
-- Marks such an address: callers.lua looks whether somebody else has it by now.
local RETIRED = 1

local _M = {}

local function read(key)
    local text = dict:get(key)
    return text and json.decode(text) or {}
end

local function routes_changed(change)
    return (change.old and record.routes(change.old) or "") ~= (change.new and record.routes(change.new) or "")
end

local function without(entries, changed)
    local kept, by_path = {}, {}
    for _, entry in ipairs(entries) do
        if not changed[entry.app] then
            kept[#kept + 1] = entry
            by_path[entry.path] = entry.app
        end
    end
    return kept, by_path
end

-- Works out what `changes` ({ app, old, new } each, records decoded) do to the routes, without writing. Returns
-- host → entries, or nil and the conflict { app, other_app, host, path }.
function _M.plan(changes)
    local changed, hosts = {}, {}
    for _, change in ipairs(changes) do
        if routes_changed(change) then
            changed[change.app] = true
        end
    end
    local function entries_of(host)
        if not hosts[host] then
            local kept, by_path = without(read("h:" .. host), changed)
            hosts[host] = { entries = kept, by_path = by_path }
        end
        return hosts[host]
    end
    for _, change in ipairs(changes) do
        if changed[change.app] then
            for _, route in ipairs(change.old and change.old.routes or {}) do
                entries_of(route.host or "*")
            end
            for _, route in ipairs(change.new and change.new.routes or {}) do
                local host = entries_of(route.host or "*")
                local other = host.by_path[route.path]
                if other then
                    return nil, { app = change.app, other_app = other, host = route.host, path = route.path }
                end
                host.by_path[route.path] = change.app
                table.insert(host.entries, { app = change.app, path = route.path, strip = route.strip, tls = route.tls })
            end
        end
    end
    return hosts
end

-- Would the route take requests that come to the other today? Not the same one: that is a conflict in any case. What has no
-- host lies open to everybody, so there the root is nobody's.
local function takes_from(route, other)
    if other.path == "/" then
        return route.host ~= nil and route.path ~= "/"
    end
    return route.path:sub(1, #other.path + 1) == other.path .. "/"
end

local function has_route(old, route)
    for _, other in ipairs(old and old.routes or {}) do
        if other.host == route.host and other.path == route.path then
            return true
        end
    end
    return false
end

-- The first new route of `changes` that lies within a route of another project, as a conflict like those of `plan`. What was
-- there before stays: only who comes second is refused.
function _M.intruder(changes)
    local changed = {}
    for _, change in ipairs(changes) do
        changed[change.app] = true
    end
    for _, change in ipairs(changes) do
        local project = change.app:match("^[^/]+/")
        for _, route in ipairs(change.new and change.new.routes or {}) do
            for _, other in ipairs(has_route(change.old, route) and {} or read("h:" .. (route.host or "*"))) do
                if not changed[other.app] and other.app:sub(1, #project) ~= project and takes_from(route, other) then
                    return { app = change.app, other_app = other.app, host = route.host, path = route.path,
                        within = other.path }
                end
            end
        end
    end
end

-- An app of another project that has a route for exactly this host and is not the one that leaves; nil when none has.
function _M.of_another_project(host, project, leaving)
    for _, entry in ipairs(read("h:" .. host)) do
        if entry.app ~= leaving and entry.app:match("^[^/]+") ~= project then
            return entry.app
        end
    end
end

local function write(key, entries)
    if #entries == 0 then
        dict:delete(key)
    else
        apps.set(key, json.encode(entries))
    end
end

-- Returns true when an app appeared or disappeared.
local function write_names(changes)
    local names = {}
    for _, change in ipairs(changes) do
        if (change.old == nil) ~= (change.new == nil) then
            local name = change.app:match("/(.*)$")
            names[name] = names[name] or read("n:" .. name)
            for position, app in ipairs(names[name]) do
                if app == change.app then
                    table.remove(names[name], position)
                    break
                end
            end
            if change.new then
                table.insert(names[name], change.app)
            end
        end
    end
    for name, entries in pairs(names) do
        write("n:" .. name, entries)
    end
    return next(names) ~= nil
end

local function write_addresses(change)
    local project = change.app:match("^[^/]+")
    local present = {}
    for _, peer in ipairs(change.new and change.new.peers or {}) do
        present[peer.address] = true
        apps.set("p:" .. peer.address, project)
    end
    for _, peer in ipairs(change.old and change.old.peers or {}) do
        local key = "p:" .. peer.address
        if not present[peer.address] and dict:get(key) == project then
            dict:set(key, project, KEEP_ADDRESS_S, RETIRED)
        end
    end
end

-- How many labels the longest wildcard ever had, without its star: a host's suffixes are looked up as far as that.
local function note_wildcard(host)
    local suffix = host:match("^%*%.(.*)$")
    local labels = suffix and select(2, suffix:gsub("%.", ".")) + 1 or 0
    if labels > (dict:get("wildcard_labels") or 0) then
        apps.set("wildcard_labels", labels)
    end
end

-- Writes what `plan` worked out.
function _M.apply(changes, hosts)
    for host, planned in pairs(hosts) do
        write("h:" .. host, planned.entries)
        note_wildcard(host)
    end
    for _, change in ipairs(changes) do
        write_addresses(change)
    end
    if write_names(changes) or next(hosts) then
        dict:incr("routes_generation", 1, 0)
    end
end

return _M

-- Which app a request belongs to. Most specific wins: exact host, then the longest wildcard, then the bare name of an
-- app (calls between apps), then any host; within one host the longest path.
local current = require "current"
local json = require "json"
local request = require "request"

local dict = ngx.shared.apps

-- Hosts are chosen by clients, so what is remembered of them is bounded.
local MOST_CACHED_HOSTS = 4096

local _M = {}

local cache, cached_hosts, cached_generation, seen = {}, 0, nil, nil

-- One host's routes as { by_path, longest }, plus `only` when there is nothing to choose.
local function tier(host)
    local text = dict:get("h:" .. host)
    if not text then
        return nil
    end
    local entries = json.decode(text)
    local found = { by_path = {}, longest = 0 }
    for _, entry in ipairs(entries) do
        found.by_path[entry.path] = entry
        found.longest = math.max(found.longest, #entry.path)
    end
    if #entries == 1 and entries[1].path == "/" then
        found.only = entries[1]
    end
    return found
end

local function add_wildcards(tiers, host)
    local dot = host:find(".", 1, true)
    while dot do
        tiers[#tiers + 1] = tier("*." .. host:sub(dot + 1))
        dot = host:find(".", dot + 1, true)
    end
end

local function read_host(host)
    local found = { named = {} }
    found.named[1] = tier(host)
    add_wildcards(found.named, host)
    -- The usual case, one app that has the whole host, is answered without a look at the path.
    found.only = found.named[1] and found.named[1].only
    found.any = tier("*")
    local names = dict:get("n:" .. host)
    found.apps = names and json.decode(names)
    return found
end

local function forget()
    cache, cached_hosts = {}, 0
end

-- Flips that change no route leave the cache as it is.
local function look_again()
    seen = current.seen()
    local generation = dict:get("routes_generation")
    if generation ~= cached_generation then
        cached_generation = generation
        forget()
    end
end

local function read_and_cache(host)
    if cached_hosts >= MOST_CACHED_HOSTS then
        forget()
    end
    local found = read_host(host)
    cache[host] = found
    cached_hosts = cached_hosts + 1
    return found
end

local SLASH = 47

-- The longest route that is `path` or a whole-segment prefix of it.
local function longest_prefix(routes, path)
    if routes.only then
        return routes.only
    end
    local length = #path
    if length > routes.longest then
        length = routes.longest
        if path:byte(length + 1) ~= SLASH then
            while length > 0 and path:byte(length) ~= SLASH do
                length = length - 1
            end
        end
    end
    while length > 0 do
        local found = routes.by_path[path:sub(1, length)]
        if found then
            return found
        end
        repeat
            length = length - 1
        until length == 0 or path:byte(length + 1) == SLASH
    end
    return routes.by_path["/"]
end

-- A caller that is a replica itself means the app of its own project; for others the name must be unique.
local function by_name(names, name, caller)
    local project = dict:get("p:" .. caller)
    local own = project and project .. "/" .. name
    for _, app in ipairs(names) do
        if app == own then
            return app
        end
    end
    return #names == 1 and names[1] or nil
end

local function choose(found, host)
    -- Decoded and without dot segments, so that no spelling of a path leads past its route.
    local path = request.get("uri")
    for _, routes in ipairs(found.named) do
        local route = longest_prefix(routes, path)
        if route then
            return route
        end
    end
    if found.apps then
        local app = by_name(found.apps, host, request.get("remote_addr"))
        return app and { app = app, path = "/", strip = false } or nil
    end
    return found.any and longest_prefix(found.any, path)
end

-- The route of the request at hand, { app, path, strip }, or nil. As of the last `current.has_moved`.
function _M.find()
    if seen ~= current.seen() then
        look_again()
    end
    local host = request.get("host")
    local found = cache[host] or read_and_cache(host)
    return found.only or choose(found, host)
end

return _M

-- Which app a request belongs to. Most specific wins: exact host, then the longest wildcard, then the bare name of an
-- app (calls between apps), then any host; within one host the longest path.
local authority = require "traffic.authority"
local callers = require "traffic.callers"
local current = require "traffic.current"
local json = require "json"
local request = require "traffic.request"
local rewrite = require "traffic.rewrite"

local dict = ngx.shared.apps
local get = request.get
local find, sub = string.find, string.sub

-- Hosts are chosen by clients, so what is remembered of them is bounded, in bytes. A host without a route is not remembered
-- at all: it costs a few looks at the table each time, and pushes out nobody else's.
local MOST_CACHED_BYTES = 512 * 1024
-- What an entry costs beside its name.
local ENTRY_BYTES = 256

local _M = {}

local cache, cached_bytes, tiers, cached_generation, deepest, seen = {}, 0, {}, nil, 0, nil

local function add_path(root, entry)
    local node = root
    for segment in entry.path:gmatch("[^/]+") do
        node.children = node.children or {}
        node.children[segment] = node.children[segment] or {}
        node = node.children[segment]
    end
    node.route = entry
end

-- One host's routes as a tree of path segments, with `only` when there is nothing to choose. Those that exist are
-- remembered: there are no more of them than the table has.
local function tier(host)
    if tiers[host] then
        return tiers[host]
    end
    local text = dict:get("h:" .. host)
    if not text then
        return nil
    end
    local entries = json.decode(text)
    local root = {}
    for _, entry in ipairs(entries) do
        entry.project = entry.app:match("^[^/]+")
        add_path(root, entry)
    end
    if #entries == 1 and entries[1].path == "/" then
        root.only = entries[1]
    end
    tiers[host] = root
    return root
end

local function add_wildcards(named, host)
    local _, labels = host:gsub("%.", ".")
    local dot = find(host, ".", 1, true)
    while dot do
        -- No wildcard has more labels than the table's longest, whatever a client asks for.
        if labels <= deepest then
            named[#named + 1] = tier("*." .. sub(host, dot + 1))
        end
        labels = labels - 1
        dot = find(host, ".", dot + 1, true)
    end
end

-- Apps of a bare name as routes, their projects, and the one of them when there is no other.
local function read_names(name)
    local text = dict:get("n:" .. name)
    if not text then
        return nil
    end
    local names, by_project = json.decode(text), {}
    for _, app in ipairs(names) do
        by_project[app:match("^[^/]+")] = { app = app, path = "/", strip = false }
    end
    return { by_project = by_project, single = #names == 1 and by_project[names[1]:match("^[^/]+")] or nil }
end

-- nil when nothing can lead anywhere from this host.
local function read_host(name)
    local found = { name = name, named = {}, apps = read_names(name), any = tier("*") }
    found.named[1] = tier(name)
    add_wildcards(found.named, name)
    local first = found.named[1] or found.any
    if not first and not found.apps then
        return nil
    end
    -- The usual case, one app that has the whole host, is answered without a look at the path.
    found.only = not found.apps and first.only
    return found
end

local function forget()
    cache, cached_bytes = {}, 0
end

-- Flips that change no route leave the cache as it is.
local function look_again()
    seen = current.seen()
    local generation = dict:get("routes_generation")
    if generation ~= cached_generation then
        cached_generation = generation
        deepest = dict:get("wildcard_labels") or 0
        tiers = {}
        forget()
    end
end

-- By the host as it was written, so that the usual one is not even looked at. Returns nil and the answer's status when there
-- is no route.
local function read_and_cache(asked)
    local name = authority.name(asked)
    if not name then
        return nil, 400
    end
    local found = read_host(name)
    if found then
        if cached_bytes >= MOST_CACHED_BYTES then
            forget()
        end
        cache[asked] = found
        cached_bytes = cached_bytes + #asked + ENTRY_BYTES
    end
    return found, 404
end

-- The longest route that is `path` or a whole-segment prefix of it: as many steps as the deepest route has segments.
local function longest_prefix(root, path)
    local node, best, from = root, root.route, 2
    while node.children do
        local slash = find(path, "/", from, true) or #path + 1
        node = node.children[sub(path, from, slash - 1)]
        if not node then
            break
        end
        best = node.route or best
        from = slash + 1
    end
    return best
end

local function by_path(found, path)
    for _, root in ipairs(found.named) do
        local route = longest_prefix(root, path)
        if route then
            return route
        end
    end
end

-- What an app calls by a bare name is first of all its own project's: no other project takes that by a route of this host.
local function of_own_project(found, path)
    local project = callers.project(get("remote_addr"), found.apps.by_project)
    local own = project and found.apps.by_project[project]
    if not own then
        return nil
    end
    for _, root in ipairs(found.named) do
        local route = longest_prefix(root, path)
        if route and route.project == project then
            return route
        end
    end
    return own
end

-- One app of that name and no route of the host: whoever asks, it is that one.
local function needs_caller(found)
    return not found.apps.single or #found.named > 0
end

-- Returns the route, and whether its host alone led there.
local function choose(found, path)
    local own = found.apps and of_own_project(found, path)
    if own then
        return own, own.project == nil
    end
    local route = by_path(found, path)
    if route then
        return route, false
    end
    if found.apps then
        return found.apps.single, true
    end
    return found.any and longest_prefix(found.any, path), false
end

-- The route of the request at hand, { app, path, strip }, and what is to be sent instead of the path as it was written, if
-- anything. Without a route: nil and the status to answer with. As of the last `current.has_moved`.
function _M.find()
    if seen ~= current.seen() then
        look_again()
    end
    local asked = authority.asked()
    local found = cache[asked]
    if not found then
        local status
        found, status = read_and_cache(asked)
        if not found then
            return nil, status
        end
    end
    if found.only then
        return found.only
    end
    if found.apps and needs_caller(found) and callers.meet(get("remote_addr")) then
        return _M.find()
    end
    -- Decoded and without dot segments, so that no spelling of a path leads past its route.
    local path = get("uri")
    local route, is_whole = choose(found, path)
    if not route then
        return nil, 404
    elseif is_whole then
        return route
    end
    local target = rewrite.target(route, get("request_uri"), path, choose, found)
    if target == false then
        return nil, 400
    end
    return route, target
end

return _M

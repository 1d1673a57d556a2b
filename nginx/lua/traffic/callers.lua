-- Whose container calls: the project at an address. A replica's is in the table from its flip on. Before that, and for
-- what never gets one (release commands, accessories), the engine is asked: the resolver of a Docker network tells the name of
-- the container at an address, and that begins with its project.
local apps = require "state.apps"

local dict = ngx.shared.apps

local _M = {}

-- As index.lua marks an address whose replica was flipped out: somebody else may get it at any time.
local RETIRED = 1
-- How long an answer is believed: less than a container takes to go and another to come at its address.
local FRESH_S = 0.2
local MOST_CACHED = 4096
local RESOLVER, PORT, PATIENCE_MS = "127.0.0.11", 53, 500
-- The proxy's network is a /20.
local THIRD_OF_NETWORK = 16

local cache, cached = {}, 0

-- Is the address one of the proxy's own network? Of others the engine knows nothing, and would ask its own resolvers.
local function is_near(address)
    local first, second = address:match("^(%d+%.%d+)%.(%d+)%.%d+$")
    local own_first, own_second = (ngx.var.server_addr or ""):match("^(%d+%.%d+)%.(%d+)%.%d+$")
    return first ~= nil and first == own_first
        and math.floor(second / THIRD_OF_NETWORK) == math.floor(own_second / THIRD_OF_NETWORK)
end

local function question(address)
    local labels = {}
    for number in address:gmatch("%d+") do
        table.insert(labels, 1, string.char(#number) .. number)
    end
    -- An identifier, recursion wanted, one question: the name, PTR, IN.
    return "\7\7\1\0\0\1\0\0\0\0\0\0" .. table.concat(labels) .. "\7in-addr\4arpa\0\0\12\0\1"
end

-- Skips a name; a pointer ends it.
local function after_name(text, at)
    local length = text:byte(at)
    while length and length > 0 do
        if length >= 192 then
            return at + 2
        end
        at = at + 1 + length
        length = text:byte(at)
    end
    return at + 1
end

-- The first answer's name, without its last dot; nil when there is none.
local function answered(text)
    if #text < 12 or text:sub(1, 2) ~= "\7\7" or text:byte(7) * 256 + text:byte(8) == 0 then
        return nil
    end
    local at = after_name(text, after_name(text, 13) + 4) + 10
    local labels = {}
    local length = text:byte(at)
    while length and length > 0 and length < 64 do
        labels[#labels + 1] = text:sub(at + 1, at + length)
        at = at + 1 + length
        length = text:byte(at)
    end
    return #labels > 0 and table.concat(labels, ".") or nil
end

local function ask(address)
    local socket = ngx.socket.udp()
    socket:settimeout(PATIENCE_MS)
    local answer
    if socket:setpeername(RESOLVER, PORT) and socket:send(question(address)) then
        answer = socket:receive(512)
    end
    socket:close()
    return answer and answered(answer)
end

local function remember(address, name)
    if cached >= MOST_CACHED then
        cache, cached = {}, 0
    end
    cached = cached + (cache[address] and 0 or 1)
    cache[address] = { name = name, till = ngx.now() + FRESH_S }
end

-- The project of the table, and whether it is certain.
local function of_table(address)
    local project, flags = dict:get("p:" .. address)
    return project, project ~= nil and flags ~= RETIRED
end

-- Makes sure that the caller is known as well as it can be. True when it waited for that: what was read before may be out of
-- date then.
function _M.meet(address)
    local _, is_certain = of_table(address)
    local found = cache[address]
    if is_certain or found and found.till > ngx.now() or not is_near(address) then
        return false
    end
    remember(address, ask(address) or false)
    return true
end

-- Of these projects (names as keys) the one whose container has this name: `<project>-<app>-r<N>-…`. Two may both begin it,
-- as `shop` and `shop-web` do; then the one that has the app, then the longer.
local function by_container(name, projects)
    local best, is_best_known = nil, false
    for project in pairs(projects) do
        if name:sub(1, #project + 1) == project .. "-" then
            local app = name:sub(#project + 2):match("^(.-)%-r%d+%-[^.]*%.")
            local is_known = app ~= nil and apps.is_known(project .. "/" .. app)
            if not best or is_known and not is_best_known or is_known == is_best_known and #project > #best then
                best, is_best_known = project, is_known
            end
        end
    end
    return best
end

-- Which of these projects the caller is of, if any. As of the last `meet`.
function _M.project(address, projects)
    local project, is_certain = of_table(address)
    local found = not is_certain and cache[address]
    if found and found.name then
        return by_container(found.name, projects)
    end
    return project
end

return _M

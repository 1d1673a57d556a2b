-- The shared table of apps: which record each app has, at which generation. Written under the lock `table` alone
-- (flip.lua, history.lua) and at start, read by every request without any lock.
--
-- A record is stored under its app and generation, and the app's generation is moved last. So a reader that sees a
-- generation always finds the whole record of it, or sees that the generation has moved on.
local dict = ngx.shared.apps

local _M = {}

local function set(key, value)
    -- `set` would push out other keys when the memory is used up: an app must never lose its routes for another's.
    local ok, problem = dict:safe_set(key, value)
    if not ok then
        error(("cannot store `%s`: %s"):format(key, problem), 0)
    end
end

_M.set = set

-- Generation of the whole table: the number of the last flip.
function _M.table_generation()
    return dict:get("generation") or 0
end

function _M.set_table_generation(generation)
    set("generation", generation)
end

-- Generation at which the app's record was last replaced or removed; nil for an app that never had one.
function _M.generation(app)
    return dict:get("g:" .. app)
end

-- The app's record as text and its generation; nil when it has none.
function _M.record_text(app)
    local generation = dict:get("g:" .. app)
    while generation do
        local text = dict:get("r:" .. app .. ":" .. generation)
        local now = dict:get("g:" .. app)
        -- Missing while the generation stands still: removed. Missing while it moved: replaced under our hands.
        if text or now == generation then
            return text, generation
        end
        generation = now
    end
end

function _M.last_release(app)
    return dict:get("l:" .. app) or 0
end

function _M.raise_last_release(app, release)
    _M.remember(app)
    if release > _M.last_release(app) then
        set("l:" .. app, release)
    end
end

-- Releases that ever got traffic, as served.lua writes them.
function _M.served(app)
    return dict:get("s:" .. app) or ""
end

function _M.set_served(app, text)
    set("s:" .. app, text)
end

-- Did the app ever have a record or a history?
function _M.is_known(app)
    return dict:get("known:" .. app) ~= nil
end

-- Names of all apps that have, or ever had, a record or a history.
function _M.names()
    local names = {}
    for name in (dict:get("names") or ""):gmatch("%S+") do
        names[#names + 1] = name
    end
    return names
end

-- Adds apps to the names, at once for many: the list is one value.
function _M.remember(...)
    local new = {}
    for _, app in ipairs({ ... }) do
        if not _M.is_known(app) then
            set("known:" .. app, true)
            new[#new + 1] = app
        end
    end
    if #new > 0 then
        local names = dict:get("names")
        set("names", (names and names .. "\n" or "") .. table.concat(new, "\n"))
    end
end

-- Names of the apps that have a canary. Within a text of JSON each quote is escaped, so the mark is found in no other place.
function _M.canaries()
    return dict:get("canaries") or ""
end

local function note_canary(app, text)
    local has_canary = text and text:find('"canary":{', 1, true) ~= nil or false
    local names = _M.canaries()
    if not has_canary and names == "" then
        return
    end
    local noted = {}
    for name in names:gmatch("%S+") do
        noted[#noted + 1] = name ~= app and name or nil
    end
    noted[#noted + 1] = has_canary and app or nil
    set("canaries", table.concat(noted, " "))
end

-- Makes `text` (nil: none) the app's record.
function _M.replace(app, generation, text)
    local old = _M.generation(app)
    note_canary(app, text)
    if text then
        set("r:" .. app .. ":" .. generation, text)
    end
    set("g:" .. app, generation)
    if old and old ~= generation then
        dict:delete("r:" .. app .. ":" .. old)
    end
end

-- Bytes that can be stored for certain. Counted in whole free pages, so it errs on the safe side.
function _M.free_bytes()
    return dict:free_space()
end

return _M

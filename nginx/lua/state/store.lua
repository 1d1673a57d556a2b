-- The shared table on disk. A flip is a line in a journal before it is acknowledged; now and then snapshot.lua writes
-- the whole table and starts a new journal. Format: README.md.
--
-- While the master lives, memory is the truth: `journal_size` says where the acknowledged lines end, and whatever is
-- behind that (a worker died between writing and acknowledging) is cut off.
local apps = require "state.apps"
local disk = require "state.disk"
local files = require "state.files"
local index = require "state.index"
local json = require "json"
local record = require "state.record"
local served = require "state.served"

local dict = ngx.shared.apps

local _M = {}

local FOLDER = "/var/lib/deploy-apps/"
_M.SNAPSHOT = FOLDER .. "routes.json"
_M.PREVIOUS = FOLDER .. "routes.json.previous"
_M.TEMPORARY = FOLDER .. "routes.json.tmp"
_M.HISTORY = FOLDER .. "history.jsonl"
_M.RELEASES = FOLDER .. "releases"
_M.CERTIFICATES = FOLDER .. "certificates"

function _M.journal_path(number)
    return FOLDER .. "routes.journal." .. number
end

local function complain(...)
    ngx.log(ngx.ALERT, "state: ", ...)
end

-- What cannot be read is kept for a human; the name says when it was found.
local function keep_aside(path, text)
    local copy = path .. ".corrupt-" .. ngx.time()
    local ok, problem = files.write_at(copy, 0, text, true)
    return ok and "a copy is kept in `" .. copy .. "`" or "and no copy could be kept: " .. problem
end

local function app_of(state, key)
    state.apps[key] = state.apps[key] or { generation = 0, last_release = 0 }
    return state.apps[key]
end

-- One decoded record, brought to the canonical text; an app that cannot be read is reported and left out.
local function read_record(key, value)
    if value == nil or value == json.null then
        return nil
    end
    local ok, text = pcall(function()
        return record.encode(record.decode(json.encode(value)))
    end)
    if not ok then
        complain("the record of `", key, "` cannot be read: ", text)
        return nil
    end
    return text
end

local function read_snapshot(path)
    local text, problem = files.read(path)
    if not text then
        if problem then
            complain(problem)
        end
        return nil
    end
    local decoded, why = json.decode(text)
    if type(decoded) ~= "table" or type(decoded.apps) ~= "table" or type(decoded.journal) ~= "number"
        or type(decoded.generation) ~= "number" then
        -- Out of the way: it must not become the previous snapshot of the next.
        local aside = path .. ".corrupt-" .. ngx.time()
        os.rename(path, aside)
        complain("`", path, "` is corrupt (", why or "fields are missing", "), it is kept as `", aside, "`")
        return nil
    end
    local state = { generation = decoded.generation, journal = decoded.journal, apps = {} }
    for key, value in pairs(decoded.apps) do
        local app = app_of(state, key)
        app.generation, app.last_release = value.generation, value.last_release
        app.record = read_record(key, value.record)
        if type(value.served) == "table" then
            app.served = table.concat(value.served, ",")
        elseif app.record then
            -- Written by a proxy that did not note it: of what serves it is known.
            app.served = served.with("", value.record)
        end
    end
    return state
end

local function apply_line(state, line)
    if line.last_release then
        local app = app_of(state, line.app)
        app.last_release = math.max(app.last_release, line.last_release)
        return
    end
    state.generation = math.max(state.generation, line.generation)
    for _, change in ipairs(line.changes) do
        local app = app_of(state, change.app)
        -- A snapshot may hold flips that are in the new journal too.
        if line.generation > app.generation then
            app.generation = line.generation
            app.record = read_record(change.app, change.record)
            if change.record ~= json.null then
                app.last_release = math.max(app.last_release, change.record.release)
                app.served = served.with(app.served, change.record)
            end
        end
    end
end

-- Replays one journal; returns how many bytes of it are whole lines, nil when there is none.
local function replay(state, number)
    local path = _M.journal_path(number)
    local text, problem = files.read(path)
    if not text then
        if problem then
            complain(problem)
        end
        return nil
    end
    text = text:match("^%Z*")
    local size, unreadable = 0, 0
    for whole in text:gmatch("([^\n]*)\n") do
        size = size + #whole + 1
        local sum, body = whole:match("^(%x+) (.*)$")
        local line = body and tonumber(sum, 16) == ngx.crc32_long(body) and json.decode(body)
        if not line or not pcall(apply_line, state, line) then
            unreadable = unreadable + 1
        end
    end
    if unreadable > 0 then
        complain(unreadable, " lines of `", path, "` are corrupt and left out, ", keep_aside(path, text))
    end
    if size < #text then
        ngx.log(ngx.WARN, "state: the last line of `", path, "` is torn and left out: it was never acknowledged")
    end
    return size
end

-- Where to begin when no snapshot can be read.
local function oldest_journal()
    local oldest
    local listing = io.popen("ls " .. FOLDER)
    for name in listing:lines() do
        local number = tonumber(name:match("^routes%.journal%.(%d+)$"))
        oldest = number and math.min(number, oldest or number) or oldest
    end
    listing:close()
    if oldest and oldest > 1 then
        complain("no snapshot can be read; flips before `", _M.journal_path(oldest),
            "` are lost, deploy their apps again")
    end
    return oldest or 1
end

local function read_state()
    local state = read_snapshot(_M.SNAPSHOT)
    if not state then
        -- The journals since the previous snapshot are kept, so it leads to the same state.
        state = read_snapshot(_M.PREVIOUS)
        if state then
            complain("`", _M.SNAPSHOT, "` could not be used, starting from `", _M.PREVIOUS, "` and its journals")
        end
    end
    state = state or { generation = 0, journal = oldest_journal(), apps = {} }
    local number = state.journal
    -- A failed snapshot leaves a number out: its journal was never begun.
    local missing = 0
    local last, last_size = number, 0
    while missing < 8 do
        local size = replay(state, number)
        if size then
            last, last_size, missing = number, size, 0
        else
            missing = missing + 1
        end
        number = number + 1
    end
    return state, last, last_size
end

-- Flips refuse conflicts, so only a hand can have written one: the first app by name keeps the route.
local function plan_without_conflicts(changes)
    local hosts, conflict = index.plan(changes)
    while conflict do
        complain("`", conflict.app, "` loses ", conflict.host or "any host", " `", conflict.path, "`, which is `",
            conflict.other_app, "`'s too")
        for _, change in ipairs(changes) do
            for position, route in ipairs(change.app == conflict.app and change.new and change.new.routes or {}) do
                if route.host == conflict.host and route.path == conflict.path then
                    table.remove(change.new.routes, position)
                    break
                end
            end
        end
        hosts, conflict = index.plan(changes)
    end
    return hosts
end

-- Brings the shared table to `state`, all at once for a request: nothing of what is there already is taken away in between.
local function publish(state)
    local changes, names = {}, {}
    for key, app in pairs(state.apps) do
        names[#names + 1] = key
        local text, generation = apps.record_text(key)
        if app.generation > (generation or 0) and (app.record or text) then
            changes[#changes + 1] = { app = key, old = text and record.decode(text),
                new = app.record and record.decode(app.record) }
        end
    end
    table.sort(names)
    table.sort(changes, function(a, b) return a.app < b.app end)
    for _, key in ipairs(names) do
        local app = state.apps[key]
        apps.remember(key)
        apps.raise_last_release(key, app.last_release)
        apps.set_served(key, app.served or "")
        if app.generation > (apps.generation(key) or 0) then
            apps.replace(key, app.generation, app.record)
        end
    end
    index.apply(changes, plan_without_conflicts(changes))
    apps.set_table_generation(state.generation)
end

-- Reads what is on disk into the shared table. Under the lock `table`, or where nobody else writes.
function _M.catch_up()
    local state, journal, size = read_state()
    apps.set("journal", journal)
    apps.set("journal_size", size)
    apps.set("snapshot_journal", state.journal)
    publish(state)
    ngx.log(ngx.NOTICE, "state: ", #apps.names(), " apps at generation ", state.generation)
end

-- Called once in the master, before any worker. A reload finds the table filled.
function _M.load()
    if not dict:get("loaded") then
        _M.catch_up()
        _M.reserve()
        apps.set("loaded", true)
    end
end

-- Applies a journal's line that another proxy has written. Under the lock `table`.
function _M.follow(line)
    if line.generation ~= apps.table_generation() + 1 then
        return _M.catch_up()
    end
    local state = { generation = line.generation, apps = {} }
    for _, change in ipairs(line.changes) do
        state.apps[change.app] = { generation = apps.generation(change.app) or 0,
            last_release = apps.last_release(change.app), served = apps.served(change.app) }
    end
    apply_line(state, line)
    publish(state)
end

-- Room for the next lines. May fail on a full disk, which the next flip will say; what is there is served nevertheless.
function _M.reserve()
    files.reserve(_M.journal_path(dict:get("journal")), dict:get("journal_size"))
end

-- Makes `body` durable as the journal's next line. Only under the lock `table`.
function _M.append(body)
    local path, size = _M.journal_path(dict:get("journal")), dict:get("journal_size")
    local line = ("%08x %s\n"):format(ngx.crc32_long(body), body)
    local ok, problem = disk.run("state.files", "put_line", path, size, line)
    if not ok then
        return nil, problem
    end
    apps.set("journal_size", size + #line)
    return true
end

-- Cuts off what a worker wrote and died before acknowledging. Only under the lock `table`.
function _M.discard_unacknowledged()
    local path, size = _M.journal_path(dict:get("journal")), dict:get("journal_size")
    local is_cut, problem = files.cut(path, size)
    if problem then
        complain(problem)
    elseif is_cut then
        ngx.log(ngx.WARN, "state: a flip that was never acknowledged is taken back")
    end
end

return _M

-- The flip: replaces the records of one or more apps at once, or changes nothing. Acknowledged means: on disk, and seen
-- by every request that picks a peer from now on, in every worker.
local apps = require "state.apps"
local canary = require "state.canary"
local refuse = require("control.problem").refuse
local index = require "state.index"
local instance = require "handover.instance"
local json = require "json"
local lease = require "control.lease"
local lock = require "state.lock"
local record = require "state.record"
local retirees = require "handover.retirees"
local served = require "state.served"
local snapshot = require "state.snapshot"
local store = require "state.store"
local validate = require "control.validate"
local watch = require "control.watch"

local _M = {}

local MOST_CHANGES = 1000
-- Free shared memory that a flip must leave, so that writing it can never stop half way.
local RESERVE_BYTES = 4 * 1024 * 1024

local function refuse_record(app, field, message)
    refuse(422, "invalid_record", ("`%s` of `%s` %s"):format(field, tostring(app), message),
        { app = app, field = field })
end

local function check_change(change, seen)
    local app = type(change) == "table" and change.app or nil
    if not validate.is_app_key(app) then
        refuse_record(nil, "app", "is not `<project>/<app>`")
    end
    if seen[app] then
        refuse_record(app, "app", "is changed twice")
    end
    seen[app] = true
    if type(change.expect) ~= "number" then
        refuse_record(app, "expect", "is not the generation that is replaced")
    end
    if change.record == nil then
        refuse_record(app, "record", "is missing; null removes the app")
    end
    if change.record == json.null then
        return { app = app, expect = change.expect }
    end
    local new, problem = validate.record(change.record)
    if not new then
        refuse_record(app, problem.field, problem.message)
    end
    if new.project .. "/" .. new.app ~= app then
        refuse_record(app, "app", "is not the app of the record")
    end
    return { app = app, expect = change.expect, new = new, text = record.encode(new) }
end

local function check(body)
    local changes, seen = {}, {}
    if type(body.changes) ~= "table" or #body.changes == 0 or #body.changes > MOST_CHANGES then
        refuse_record(nil, "changes", ("is not a list of 1 to %d changes"):format(MOST_CHANGES))
    end
    for position, change in ipairs(body.changes) do
        changes[position] = check_change(change, seen)
    end
    return changes
end

local function compare(change)
    local text, generation = apps.record_text(change.app)
    local found = text and generation or 0
    if found ~= change.expect then
        refuse(409, "generation_moved",
            ("`%s` is at generation %d, not %d"):format(change.app, found, change.expect),
            { app = change.app, expected = change.expect, found = found })
    end
    change.old = text and record.decode(text)
end

local function plan(changes)
    local hosts, conflict = index.plan(changes)
    conflict = conflict or index.intruder(changes)
    if not conflict then
        return hosts
    end
    local host = conflict.host or json.null
    local within = conflict.within and (" lies within `%s`, which"):format(conflict.within) or ""
    refuse(409, "route_conflict",
        ("%s `%s`%s belongs to `%s` already"):format(conflict.host and "`" .. conflict.host .. "`" or "any host",
            conflict.path, within, conflict.other_app),
        { app = conflict.app, other_app = conflict.other_app, host = host, path = conflict.path })
end

local function persist(changes, generation)
    local texts = {}
    for position, change in ipairs(changes) do
        texts[position] = ('{"app":%s,"record":%s}'):format(json.encode(change.app), change.text or "null")
    end
    local line = ('{"generation":%d,"at":%d,"changes":%s}'):format(generation, ngx.now() * 1000, json.list(texts))
    if apps.free_bytes() < RESERVE_BYTES + 4 * #line then
        refuse(507, "persist_failed", "the proxy's table of apps is full, nothing was changed")
    end
    local ok, problem = store.append(line)
    if not ok then
        refuse(507, "persist_failed", problem .. ", nothing was changed")
    end
    return line
end

-- Records first, routes last: a route never leads to an app that is not there yet.
local function apply(changes, hosts, generation)
    for _, change in ipairs(changes) do
        apps.remember(change.app)
        apps.replace(change.app, generation, change.text)
        if change.new then
            apps.raise_last_release(change.app, change.new.release)
            apps.set_served(change.app, served.with(apps.served(change.app), change.new))
        end
    end
    index.apply(changes, hosts)
    apps.set_table_generation(generation)
    ngx.shared.metrics:incr("flips", 1, 0)
end

local function check_lease(token, changes)
    for _, change in ipairs(changes) do
        if not lease.holds(token, change.app) then
            refuse(410, "lease_lost", ("the lease of `%s` is not held"):format(change.app),
                { app = change.app })
        end
    end
end

-- `may(changes)` refuses what its caller may not do.
local function flip_alone(changes, may)
    if not instance.is_serving() then
        refuse(503, "busy", "the proxy is being handed over, nothing was changed")
    end
    may(changes)
    for _, change in ipairs(changes) do
        compare(change)
    end
    local hosts = plan(changes)
    local generation = apps.table_generation() + 1
    local obstacle = retirees.obstacle()
    if obstacle then
        refuse(503, "busy", obstacle .. ", nothing was changed")
    end
    local line = persist(changes, generation)
    apply(changes, hosts, generation)
    retirees.follow(line)
    return generation
end

local function flip_all(changes, may)
    local generation, problem = lock.with("table", function()
        return flip_alone(changes, may)
    end, store.discard_unacknowledged)
    if not generation then
        refuse(503, problem, "another flip did not end in time, nothing was changed")
    end
    if snapshot.is_due() then
        ngx.timer.at(0, snapshot.run)
    end
    return generation
end

function _M.flip(body)
    local changes = check(body)
    local generation = flip_all(changes, function()
        check_lease(body.lease, changes)
    end)
    for _, change in ipairs(changes) do
        watch.note(change.app, change.new and change.new.canary and body.lease)
    end
    return ('{"generation":%d}'):format(generation)
end

-- Gives all requests of an app back to what served before its canary, unless `is_watched(app)`. It is the proxy's own flip: nobody
-- has a lease for it. Returns whether there was something to give back.
function _M.end_canary(app, is_watched)
    local text, generation = apps.record_text(app)
    local old = text and record.decode(text)
    if not (old and old.canary) then
        return false
    end
    local new = canary.without(old)
    local change = { app = app, expect = generation, new = new, text = record.encode(new) }
    flip_all({ change }, function()
        if is_watched(app) then
            refuse(409, "lease_held", ("`%s` is leased again"):format(app), { app = app })
        end
    end)
    watch.note(app, nil)
    return true
end

return _M

-- A canary never outlives its watcher: when the lease with which it was flipped in has ended, all requests go back to what served
-- before. Also the calls by which its watcher reads the figures, and by which others have it promoted or aborted.
local apps = require "state.apps"
local figures = require "metrics.figures"
local flip = require "control.flip"
local instance = require "handover.instance"
local json = require "json"
local lease = require "control.lease"
local record = require "state.record"
local refuse = require("control.problem").refuse
local validate = require "control.validate"
local watch = require "control.watch"

local _M = {}

_M.EVERY_S = 1

-- A watcher whose connection broke, or whose proxy started again, takes its lease up again within this.
local GRACE_S = 5

-- Since when nobody watches, by app. Only one worker looks.
local unwatched = {}

local function is_watched(app)
    local holder, watcher = lease.token(app), watch.token(app)
    return holder ~= nil and (not watcher or watcher == holder)
end

local function message_of(problem)
    return type(problem) == "table" and problem.message or tostring(problem)
end

local function look_at(app)
    local now = ngx.now()
    if is_watched(app) then
        unwatched[app] = nil
        return
    end
    unwatched[app] = unwatched[app] or now
    if now - unwatched[app] < GRACE_S then
        return
    end
    local ok, problem = pcall(flip.end_canary, app, is_watched)
    if ok then
        unwatched[app] = nil
        ngx.log(ngx.WARN, "canary: nobody watches the one of `", app, "` any more, what served before gets all requests")
    else
        ngx.log(ngx.ALERT, "canary: the one of `", app, "` cannot be ended: ", message_of(problem))
    end
end

-- For a timer of one worker.
function _M.look(premature)
    if premature or not instance.is_serving() then
        return
    end
    for app in apps.canaries():gmatch("%S+") do
        look_at(app)
    end
end

local function nobody()
    return false
end

-- Called when somebody has got the lease of these apps: ends what another watcher has left. `is_resumed`: it is the lease from
-- before a broken connection.
function _M.end_left(names, is_resumed)
    local has_canary = {}
    for app in apps.canaries():gmatch("%S+") do
        has_canary[app] = true
    end
    for _, app in ipairs(names) do
        if has_canary[app] and not (is_resumed and is_watched(app)) then
            flip.end_canary(app, nobody)
        end
    end
end

local function read(app)
    if not validate.is_app_key(app) then
        refuse(422, "invalid_canary", "`app` is not `<project>/<app>`", { field = "app" })
    end
    local text = apps.record_text(app)
    local found = text and record.decode(text)
    if not found then
        refuse(409, "no_canary", ("`%s` is not routed"):format(app), { app = app })
    end
    return found
end

-- `GET /v1/canary?app=sample/web&release=7&release=8`: the figures of these releases, and what the watcher is asked for.
function _M.read(arguments)
    local app = arguments.app
    local found = read(app)
    local asked = arguments.release
    local releases = {}
    for _, text in ipairs(type(asked) == "table" and asked or { asked }) do
        releases[#releases + 1] = tonumber(text)
    end
    local canary = found.canary
    return ('{"weight":%s,"order":%s,"bounds":%s,"releases":%s}'):format(json.optional(canary and canary.weight),
        watch.order(app) or "null", figures.bounds(), figures.text(app, releases))
end

-- `POST /v1/canary`: asks the watcher to promote or to abort.
function _M.order(body)
    local app, order = body.app, body.order
    if order ~= "promote" and order ~= "abort" then
        refuse(422, "invalid_canary", "`order` is neither `promote` nor `abort`", { field = "order" })
    end
    for _, field in ipairs({ "owner", "host" }) do
        if type(body[field]) ~= "string" or #body[field] > 256 then
            refuse(422, "invalid_canary", ("`%s` is not a text of at most 256 bytes"):format(field), { field = field })
        end
    end
    local canary = read(app).canary
    if not canary or not is_watched(app) then
        refuse(409, "no_canary", ("`%s` has no canary that a deploy watches"):format(app), { app = app })
    end
    if not watch.give(app, { order = order, owner = body.owner, host = body.host }) then
        refuse(507, "too_many_leases", "the proxy's table of leases is full")
    end
    return ('{"release":%d,"weight":%d}'):format(canary.release, canary.weight)
end

return _M

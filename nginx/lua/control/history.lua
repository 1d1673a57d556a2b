-- What happened to each app: an append-only file on the state volume. `POST` and `GET /v1/history`.
local apps = require "state.apps"
local refuse = require("control.problem").refuse
local deploys = require "metrics.deploys"
local disk = require "state.disk"
local json = require "json"
local lock = require "state.lock"
local store = require "state.store"
local validate = require "control.validate"

local _M = {}

local USUAL_LIMIT, MOST_LIMIT = 50, 1000

local function invalid(field, message)
    refuse(422, "invalid_history", ("`%s` %s"):format(field, message), { field = field })
end

local function check(body)
    if not validate.is_app_key(body.app) then
        invalid("app", "is not `<project>/<app>`")
    end
    if type(body.release) ~= "number" or body.release < 0 or body.release ~= math.floor(body.release) then
        invalid("release", "is not a whole number")
    end
    if type(body.event) ~= "string" or not body.event:find("^[%w_.-]+$") then
        invalid("event", "is not a word")
    end
    if body.at ~= nil then
        invalid("at", "is set by the proxy")
    end
end

local function persist(ok, problem)
    if not ok then
        refuse(507, "persist_failed", problem .. ", nothing was changed")
    end
end

-- A release number is given out once only, so the highest is in the journal even when its release never serves. An accessory has
-- the number 0, and is known from then on, so that its history is found when no compose file has it any more.
local function raise_last_release(app, release)
    if apps.is_known(app) and release <= apps.last_release(app) then
        return true
    end
    local line = ('{"app":%s,"last_release":%d}'):format(json.encode(app), release)
    persist(store.append(line))
    apps.raise_last_release(app, release)
    return true
end

-- The fields are stored as they were sent: decoding them would turn empty lists into empty objects.
function _M.append(body, text)
    check(body)
    local at = math.floor(ngx.now() * 1000)
    local line = ('{"at":%d,'):format(at) .. text:gsub("[\r\n]", " "):gsub("^%s*{%s*", ""):gsub("%s+$", "")
    local done = lock.with("history", function()
        persist(disk.run("state.history_file", "append", store.HISTORY, line))
        deploys.count(body, at)
        return true
    end)
    done = done and lock.with("table", function()
        return raise_last_release(body.app, body.release)
    end, store.discard_unacknowledged)
    if not done then
        refuse(503, "busy", "another call did not end in time")
    end
    return ('{"at":%d}'):format(at)
end

function _M.read(arguments)
    local names, limit = arguments.app, tonumber(arguments.limit) or USUAL_LIMIT
    names = type(names) == "table" and names or { names }
    for _, app in ipairs(#names > 0 and names or { "" }) do
        if not validate.is_app_key(app) then
            invalid("app", "is not `<project>/<app>`")
        end
    end
    if limit < 1 or limit > MOST_LIMIT then
        invalid("limit", ("is not a number from 1 to %d"):format(MOST_LIMIT))
    end
    local records, problem = disk.run("state.history_file", "newest", store.HISTORY, table.concat(names, "\n"), limit)
    if not records then
        refuse(500, "unreadable", problem)
    end
    return ('{"records":%s}'):format(records)
end

return _M

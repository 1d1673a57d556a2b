-- What a release was made of, kept for a rollback: `POST /v1/release`, `GET /v1/releases`, `POST /v1/releases/forget`.
-- The documents may hold secrets, so they are neither logged nor a part of the state.
local refuse = require("control.problem").refuse
local disk = require "state.disk"
local lock = require "state.lock"
local store = require "state.store"
local validate = require "control.validate"

local _M = {}

local LONGEST = 1024 * 1024
local MOST_FORGOTTEN = 1000

local function invalid(field, message)
    refuse(422, "invalid_release", ("`%s` %s"):format(field, message), { field = field })
end

local function check_app(app)
    if not validate.is_app_key(app) then
        invalid("app", "is not `<project>/<app>`")
    end
    return app
end

local function is_release(value)
    return type(value) == "number" and value >= 1 and value <= 2 ^ 31 and value == math.floor(value)
end

-- Names hold neither `/` nor `~`, so no two apps share a folder and none leads out of it.
local function folder_of(app)
    return store.RELEASES .. "/" .. app:gsub("/", "~")
end

-- One at a time: two that store the same release would write the same file aside.
local function alone(work)
    local result, problem = lock.with("releases", work)
    if not result and problem == "busy" then
        refuse(503, "busy", "another call did not end in time, nothing was changed")
    end
    if not result then
        refuse(507, "persist_failed", problem .. ", nothing was changed")
    end
    return result
end

-- The fields are stored as they were sent: decoding them would turn empty lists into empty objects.
function _M.store(body, text)
    local app = check_app(body.app)
    if not is_release(body.release) then
        invalid("release", "is not a release number")
    end
    if body.at ~= nil then
        invalid("at", "is set by the proxy")
    end
    if #text > LONGEST then
        refuse(413, "too_large", ("a release of more than %d bytes is not stored"):format(LONGEST),
            { limit = LONGEST })
    end
    local at = math.floor(ngx.now() * 1000)
    local document = ('{"at":%d,'):format(at) .. text:gsub("[\r\n]", " "):gsub("^%s*{%s*", ""):gsub("%s+$", "")
    alone(function()
        return disk.run("state.release_files", "store", store.RELEASES, folder_of(app), body.release, document)
    end)
    return ('{"at":%d}'):format(at)
end

-- Of one app, `{"releases":[…]}`; of several, `{"apps":{"<app>":[…], …}}`, from one visit to the disk.
function _M.read(arguments)
    local names = arguments.app
    local several = type(names) == "table"
    local folders = {}
    for position, app in ipairs(several and names or { names or "" }) do
        folders[position] = folder_of(check_app(app))
    end
    local lists, problem = disk.run("state.release_files", "read", table.concat(folders, "\n"))
    if not lists then
        refuse(500, "unreadable", problem)
    end
    if problem ~= "" then
        ngx.log(ngx.ALERT, "state: cannot be read and left out: ", (problem:gsub("\n", ", ")))
    end
    if not several then
        return ('{"releases":%s}'):format(lists)
    end
    local members = {}
    -- A stored document has no line break.
    for list in lists:gmatch("[^\n]+") do
        members[#members + 1] = ('"%s":%s'):format(names[#members + 1], list)
    end
    return ('{"apps":{%s}}'):format(table.concat(members, ","))
end

function _M.forget(body)
    local app = check_app(body.app)
    if type(body.releases) ~= "table" or #body.releases > MOST_FORGOTTEN then
        invalid("releases", ("is not a list of at most %d release numbers"):format(MOST_FORGOTTEN))
    end
    local numbers = {}
    for position, release in ipairs(body.releases) do
        if not is_release(release) then
            invalid(("releases[%d]"):format(position - 1), "is not a release number")
        end
        numbers[position] = ("%d"):format(release)
    end
    local count = alone(function()
        return disk.run("state.release_files", "forget", folder_of(app), table.concat(numbers, ","))
    end)
    return ('{"forgotten":%d}'):format(count)
end

return _M

-- Writes the whole table to disk and begins a new journal, so that the next start has little to replay. Runs beside the
-- flips: they go on in the new journal, and replaying them over a snapshot that already holds them changes nothing.
local apps = require "state.apps"
local disk = require "state.disk"
local json = require "json"
local lock = require "state.lock"
local store = require "state.store"

local dict = ngx.shared.apps

-- A journal of this size replays in some 50 ms.
local LONGEST_JOURNAL = 4 * 1024 * 1024
-- Apps are read in portions, and other requests get their turn between two of them.
local PORTION = 100

local _M = {}

function _M.is_due()
    return dict:get("journal_size") > LONGEST_JOURNAL
end

local function begin_journal()
    local number = dict:get("journal") + 1
    apps.set("journal", number)
    apps.set("journal_size", 0)
    return number
end

local function entry(app)
    local text, generation = apps.record_text(app)
    return ('%s:{"generation":%d,"last_release":%d,"served":[%s],"record":%s}'):format(json.encode(app),
        generation or apps.generation(app) or 0, apps.last_release(app), apps.served(app), text or "null")
end

local function write_apps(offset)
    local names = apps.names()
    for first = 1, #names, PORTION do
        local entries = {}
        for position = first, math.min(first + PORTION - 1, #names) do
            entries[#entries + 1] = entry(names[position])
        end
        local text = table.concat(entries, ",\n") .. (first + PORTION <= #names and ",\n" or "")
        local ok, problem = disk.run("state.files", "write_at", store.TEMPORARY, offset, text, false)
        if not ok then
            return nil, problem
        end
        offset = offset + #text
    end
    return offset
end

local function write(journal)
    local head = ('{"format":1,"generation":%d,"journal":%d,"apps":{\n'):format(apps.table_generation(), journal)
    local offset, problem = disk.run("state.files", "write_at", store.TEMPORARY, 0, head, false)
    offset, problem = offset and write_apps(#head), problem
    if not offset then
        return nil, problem
    end
    local ok
    ok, problem = disk.run("state.files", "write_at", store.TEMPORARY, offset, "\n}}\n", false)
    if not ok then
        return nil, problem
    end
    return disk.run("state.files", "publish", store.TEMPORARY, store.SNAPSHOT, store.PREVIOUS)
end

local function replace_snapshot()
    local previous = dict:get("snapshot_journal")
    local journal = lock.with("table", begin_journal, store.discard_unacknowledged)
    if not journal then
        return
    end
    local ok, problem = write(journal)
    if not ok then
        -- Nothing is lost: the old snapshot and all journals since are still there.
        ngx.log(ngx.ALERT, "state: no snapshot could be written: ", problem)
        return
    end
    -- The previous snapshot stays usable with the journals since its own.
    for number = dict:get("oldest_journal") or 1, previous - 1 do
        os.remove(store.journal_path(number))
    end
    apps.set("oldest_journal", previous)
    apps.set("snapshot_journal", journal)
end

-- For ngx.timer.at: writes a snapshot unless another worker is about it.
function _M.run(premature)
    if premature then
        return
    end
    lock.with("snapshot", function()
        if _M.is_due() then
            replace_snapshot()
        end
        return true
    end, nil, 0)
end

return _M

-- The stored releases: one JSON document a release, in a folder for each app. Runs in threads of the pool `disk`.
local cjson = require "cjson.safe"
local files = require "state.files"
local folders = require "state.folders"

local _M = {}

local function path_of(folder, release)
    return ("%s/r%d.json"):format(folder, release)
end

-- `parent` is the folder of all apps' folders.
function _M.store(parent, folder, release, text)
    for _, path in ipairs { parent, folder } do
        local ok, problem = folders.make(path, 488) -- 0750
        if not ok then
            return nil, problem
        end
    end
    return files.replace(path_of(folder, release), text)
end

-- Numbers of the releases in a folder, highest first; nil and why it cannot be read.
local function numbers(folder)
    local found, problem = folders.names(folder, "^r(%d+)%.json$")
    for at, name in ipairs(found or {}) do
        found[at] = tonumber(name)
    end
    if found then
        table.sort(found, function(a, b) return a > b end)
    end
    return found, problem
end

-- The documents of a folder as a JSON list; adds the names of those that cannot be read to `bad`.
local function documents(folder, bad)
    local releases, problem = numbers(folder)
    if not releases then
        return nil, problem
    end
    local texts = {}
    for _, release in ipairs(releases) do
        local text = files.read(path_of(folder, release))
        if text and type(cjson.decode(text)) == "table" then
            texts[#texts + 1] = text
        else
            bad[#bad + 1] = path_of(folder, release)
        end
    end
    return "[" .. table.concat(texts, ",") .. "]"
end

-- `list` is text, a line each, as is the answer: a list for each folder. Then what cannot be read, a line each.
function _M.read(list)
    local lists, bad = {}, {}
    for folder in list:gmatch("[^\n]+") do
        local found, problem = documents(folder, bad)
        if not found then
            return nil, problem
        end
        lists[#lists + 1] = found
    end
    return table.concat(lists, "\n"), table.concat(bad, "\n")
end

-- `releases` is text, such as `1,2`: a thread takes no tables. What is not there is forgotten already.
function _M.forget(folder, releases)
    local count = 0
    for release in releases:gmatch("%d+") do
        local ok, why, number = os.remove(path_of(folder, tonumber(release)))
        if ok then
            count = count + 1
        elseif number ~= folders.ENOENT then
            return nil, "cannot remove " .. why
        end
    end
    if count > 0 then
        local ok, problem = files.sync_folder(path_of(folder, 0))
        if not ok then
            return nil, problem
        end
    end
    return count
end

return _M

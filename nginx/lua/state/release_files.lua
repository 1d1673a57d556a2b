-- The stored releases: one JSON document a release, in a folder for each app. Runs in threads of the pool `disk`.
local cjson = require "cjson.safe"
local ffi = require "ffi"
local files = require "state.files"

ffi.cdef [[
struct deploy_apps_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[256];
};
int mkdir(const char *path, unsigned int mode);
void *opendir(const char *path);
struct deploy_apps_entry *readdir64(void *folder);
int closedir(void *folder);
]]

local C = ffi.C
local EEXIST, ENOENT = 17, 2

local _M = {}

local function make_folder(path)
    if C.mkdir(path, 488) == 0 then -- 0750
        return files.sync_folder(path)
    end
    if ffi.errno() ~= EEXIST then
        return nil, files.problem("make", path)
    end
    return true
end

local function path_of(folder, release)
    return ("%s/r%d.json"):format(folder, release)
end

-- `parent` is the folder of all apps' folders.
function _M.store(parent, folder, release, text)
    for _, path in ipairs { parent, folder } do
        local ok, problem = make_folder(path)
        if not ok then
            return nil, problem
        end
    end
    return files.replace(path_of(folder, release), text)
end

-- Numbers of the releases in a folder, highest first; nil and why it cannot be read.
local function numbers(folder)
    local handle = C.opendir(folder)
    if handle == nil then
        if ffi.errno() == ENOENT then
            return {}
        end
        return nil, files.problem("open", folder)
    end
    local found = {}
    local entry = C.readdir64(handle)
    while entry ~= nil do
        found[#found + 1] = tonumber(ffi.string(entry.name):match("^r(%d+)%.json$"))
        entry = C.readdir64(handle)
    end
    C.closedir(handle)
    table.sort(found, function(a, b) return a > b end)
    return found
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

-- `folders` is text, a line each, as is the answer: a list for each folder. Then what cannot be read, a line each.
function _M.read(folders)
    local lists, bad = {}, {}
    for folder in folders:gmatch("[^\n]+") do
        local list, problem = documents(folder, bad)
        if not list then
            return nil, problem
        end
        lists[#lists + 1] = list
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
        elseif number ~= ENOENT then
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

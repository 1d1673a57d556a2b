-- Folders of the state volume. Runs in threads of the pool `disk`, and at start in the master.
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
local EEXIST = 17

local _M = { ENOENT = 2 }

-- Makes the folder unless it is there.
function _M.make(path, mode)
    if C.mkdir(path, mode) == 0 then
        return files.sync_folder(path)
    end
    if ffi.errno() ~= EEXIST then
        return nil, files.problem("make", path)
    end
    return true
end

-- What `pattern` captures of the names in a folder; none when there is no folder. nil and why it cannot be read.
function _M.names(folder, pattern)
    local handle = C.opendir(folder)
    if handle == nil then
        if ffi.errno() == _M.ENOENT then
            return {}
        end
        return nil, files.problem("open", folder)
    end
    local found = {}
    local entry = C.readdir64(handle)
    while entry ~= nil do
        found[#found + 1] = ffi.string(entry.name):match(pattern)
        entry = C.readdir64(handle)
    end
    C.closedir(handle)
    return found
end

return _M

-- Functions with which receive.lua, read.lua and take.lua hand out the entries of queues. The scripts begin with these
-- lines.

local is_foreign = {}
local packer = rawget(_G, "cmsgpack") -- fakeredis lacks it

-- The longest entries, together, whose answer is packed. Redis keeps 16 KiB of answers of a connection in one piece.
local PACKED_BYTES = 12000

-- Takes entries out of queue number q. A key that is no list belongs to another program. The script must not fail
-- because of it: what it has popped before would be lost.
local function pop(q, key, count)
    local values = redis.pcall("LPOP", key, count)
    if not values or not values.err then
        return values or {}
    elseif string.find(values.err, "WRONGTYPE", 1, true) then
        is_foreign[q] = true
        return {}
    end
    return redis.call("LPOP", key, count)
end

-- The epoch of the data in this server. If there is none, the data was lost, and a new epoch begins. Call this after what
-- takes entries: a full Redis refuses a script at its first write only, and taking makes room.
local function epoch_of(key, new)
    local epoch = redis.call("GET", key)
    if not epoch then
        epoch = new
        redis.call("SET", key, epoch)
    end
    return epoch
end

-- The answer: the entries of all queues, how many there are of each (-1 if its key is no list), the time in
-- microseconds (16 digits), the epoch, the state, and for read.lua its number.
--
-- It is packed into one string if it is short. Before version 7, Redis sends a list apart from the answers before it,
-- with a system call of its own, and the reader wakes up twice.
local function answer_of(taken, queues, now, epoch, state, number)
    local answer = taken[1] or {}
    local counts = { is_foreign[1] and -1 or #answer }
    for q = 2, queues do
        local values = taken[q] or {}
        counts[q] = is_foreign[q] and -1 or #values
        for _, value in ipairs(values) do
            answer[#answer + 1] = value
        end
    end
    local bytes = 0
    for _, value in ipairs(answer) do
        bytes = bytes + #value
    end
    for q = 1, queues do
        answer[#answer + 1] = counts[q]
    end
    answer[#answer + 1] = now
    answer[#answer + 1] = epoch
    answer[#answer + 1] = state
    answer[#answer + 1] = number
    return packer and bytes <= PACKED_BYTES and packer.pack(answer) or answer
end


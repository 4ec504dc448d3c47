-- Takes messages from queues. A busy queue does not starve the others.
--
-- KEYS  pattern             type    what for; when it ends
--   1   asgi:epoch          string  identifies the data in this server (see epochs.py); never
--   …   asgi:queue:<queue>  list    the queues, another one first each time; with their last entry
--
-- ARGV
--   1  how many messages at the most, over all queues; 0 for as many as the further arguments say
--   2  the epoch to set where there is none
--   3  the time after which the reader has given up, in microseconds: then nothing is taken; 0 for no limit
--   …  with ARGV[1] = 0, how many messages at the most of each queue
--
-- Returns one list: the entries of all queues, how many there are of each (-1 if its key is no list), the time in
-- microseconds (16 digits), the epoch, and 0.

local time = redis.call("TIME")
local limit = tonumber(ARGV[1])
local queues = #KEYS - 1
local latest = tonumber(ARGV[3])
local taken = {}

if latest > 0 and latest < time[1] * 1e6 + time[2] then
    limit = -1
end

-- A key that is no list belongs to another program. The script must not fail because of it: what it has popped before
-- would be lost.
local is_foreign = {}
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

if limit < 0 then
    taken = {}
elseif limit == 0 then
    for q = 1, queues do
        local count = tonumber(ARGV[3 + q])
        taken[q] = count > 0 and pop(q, KEYS[q + 1], count) or {}
    end
else
    -- Each queue with messages gets an equal share. The rest goes to queues that have more.
    local share = math.max(1, math.floor(limit / queues))
    for q = 1, queues do
        local count = math.min(share, limit)
        taken[q] = count > 0 and pop(q, KEYS[q + 1], count) or {}
        limit = limit - #taken[q]
    end
    for q = 1, queues do
        if limit > 0 and #taken[q] >= share then
            local values = pop(q, KEYS[q + 1], limit)
            for _, value in ipairs(values) do
                taken[q][#taken[q] + 1] = value
            end
            limit = limit - #values
        end
    end
end

-- This comes after the first LPOP: a full Redis does not refuse a script any more then, and taking makes room.
local epoch = redis.call("GET", KEYS[1])
if not epoch then
    epoch = ARGV[2]
    redis.call("SET", KEYS[1], epoch)
end

local answer = taken[1] or {}
local counts = { is_foreign[1] and -1 or #answer }
for q = 2, queues do
    local values = taken[q] or {}
    counts[q] = is_foreign[q] and -1 or #values
    for _, value in ipairs(values) do
        answer[#answer + 1] = value
    end
end
for q = 1, queues do
    answer[#answer + 1] = counts[q]
end
answer[#answer + 1] = string.format("%010d%06d", time[1], time[2])
answer[#answer + 1] = epoch
answer[#answer + 1] = 0
return answer

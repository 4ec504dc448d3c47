-- Hands the messages of a process to its reader, and keeps them until the reader's next round trip.
--
-- So no message is lost if the connection breaks before the answer has arrived: the reader gets the same batch again.
-- Whole queues become batches, by a RENAME, because copying each entry would cost more than all the rest.
--
-- KEYS  pattern                type    what for; when it ends
--   1   asgi:epoch             string  identifies the data in this server (see epochs.py); never
--   2   asgi:queue:<process>!  list    the messages to the process; with its last entry
--   3   asgi:handed:<process>  list    the number of the reader's last round trip, and behind it the batch, which may
--                                      be empty; with the last message of the batch, or a minute later
--
-- ARGV
--   1  how many messages at the most
--   2  the epoch to set where there is none
--   3  the time after which the reader has given up, in microseconds: then nothing is handed out, and this round
--      trip does not count as answered; 0 for no limit
--   4  the number of this round trip, greater than all before
--   5  the number of the last round trip whose answer has arrived
--
-- Returns what hand_out.lua makes, with the state 0 and the number to pass as ARGV[5] next.

local time = redis.call("TIME")
local now = string.format("%010d%06d", time[1], time[2])
local limit, latest = tonumber(ARGV[1]), tonumber(ARGV[3])
local queue, handed = KEYS[2], KEYS[3]
local number = ARGV[4]
local last = tonumber(redis.call("LINDEX", handed, 0) or 0)
local entries = {}

if latest > 0 and latest < time[1] * 1e6 + time[2] then
    number = ARGV[5]
elseif last > tonumber(ARGV[5]) then
    -- The answer with this batch was lost. Or a later round trip has overtaken this one, whose answer goes to nobody.
    entries = redis.call("LRANGE", handed, 1, -1)
else
    local length = redis.call("LLEN", queue)
    -- The first write of each branch takes no memory, because a full Redis refuses a script at its first write only.
    if length > 0 and length <= limit then
        redis.call("RENAME", queue, handed)
        entries = redis.call("LRANGE", handed, 0, -1)
        redis.call("LPUSH", handed, number)
    else
        redis.call("UNLINK", handed)
        redis.call("RPUSH", handed, number)
        if length > 0 then
            entries = redis.call("LPOP", queue, limit)
            for first = 1, #entries, 1000 do
                redis.call("RPUSH", handed, unpack(entries, first, math.min(first + 999, #entries)))
            end
        end
        redis.call("PEXPIRE", handed, math.max(60000, redis.call("PTTL", queue)))
    end
end

local epoch = epoch_of(KEYS[1], ARGV[2])

return answer_of({ entries }, 1, now, epoch, 0, tonumber(number))

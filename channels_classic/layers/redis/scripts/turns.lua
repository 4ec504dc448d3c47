-- Makes the messages of a client run one after another (layers/turns.py explains the steps).
--
-- KEYS  pattern                type        what for; when it ends
--   1   asgi:turns:<client>    hash        the turns of one client, see below; a while after the client has left, or
--                                          ARGV[6] after its last message
--   2   asgi:waiting           sorted set  the clients for whom messages wait, by the time at which they have waited
--                                          long enough; with the last of them
--   3   asgi:sent:<taker>      string      for the end of a turn that depends on what its trip has sent; see send.lua
--       or asgi:beats          sorted set  for an enter in the name of a process: the processes that beat; see beat.lua
--   4   asgi:epoch             string      for the same: identifies the data in this server; never
-- Made here of ARGV[1]:
--       asgi:queue:<channel>   list        the queue to the front of which a message goes that need not wait any longer
--       asgi:bell:<channel>    list        its bell; see take.lua
--       asgi:turns:<other>     hash        the turns of another client out of KEYS[2]
--       asgi:freed:<client>    set         the tokens of messages that waited for the first turn only and are back in
--                                          their queues; with these
--
-- The fields of the hash:
--   next             the order whose turn it is
--   lease            the time until which the message of that order is taken to run, a space, and the token it
--                    entered with; "" where none runs
--   since            the time since which others have been waiting though none runs; "" where that is not so
--   waiting, bytes   how many messages wait, and how long they are together
--   gone             "1" once the client has left
--   freed            "1" once there is the set of freed tokens
--   lost             how many messages are lost whose turn has not come yet
--   lost:<order>     a message that is lost
--   <order>          a message that waits: "s" if only for the first turn, else "o"; its channel; a space; its token;
--                    a line feed; the message as a queue holds it, without its time of expiry
--
-- ARGV
--   1  the prefix of all keys
--   2  the client
--   3, 4, 5, 6  seconds: how long a running message keeps its turn, how long others wait for one that does not come,
--      how long a message lives in a queue, how long the turns are kept
--   7  the step, and behind it what it needs:
--      enter    order, slight ("1" or "0"), channel, message, token, how many may wait, how many bytes of them; and the
--               process in whose name it comes and the epoch in which that was registered, if there is one
--      end      order, last ("1" or "0"), number: the shipment of which nothing may have been refused; "" if that does
--               not matter
--      suspend  order, token, forced ("1": whatever the token is; or "0")
--      renew    order, token
--      lose     order
--      release
--      resume   order, settled ("1" or "0")
--
-- Any step can be repeated if its answer was lost. An enter with the same token has the same verdict; if its
-- message is back in its queue by then, only one of the two copies runs. An end or a suspend does nothing the
-- second time.
--
-- All times are microseconds by this server's clock. Returns the verdict ("run", "wait", "waits", "passed" or
-- "full"; "lapsed" for an enter whose process was declared dead; "held" for an end that has to be told again; "forward"
-- where a client goes on that would have waited; "" for other steps). If turns were passed over, it returns a list
-- instead: the verdict, and for each of them the client, the first and the last order, and "lease" or "gap".

local prefix, client = ARGV[1], ARGV[2]
local lease, patience, life, kept = ARGV[3] * 1e6, ARGV[4] * 1e6, ARGV[5] * 1e6, ARGV[6] * 1e6
local time = redis.call("TIME")
local now = time[1] * 1e6 + time[2]
local passed_over = {}

local function answer_of(verdict)
    return #passed_over == 0 and verdict or { verdict, passed_over }
end

local function text(number)
    return string.format("%.0f", number)
end

local function load(key, name)
    local values = redis.call("HMGET", key, "next", "lease", "since", "waiting", "bytes", "gone", "freed", "lost")
    local lease_end, token = string.match(values[2] or "", "^(%d+) (.*)$")
    local turns = {
        key = key,
        client = name,
        is_new = not values[1],
        next = tonumber(values[1] or 0),
        lease = tonumber(lease_end or ""),
        token = token,
        since = tonumber(values[3] or ""),
        waiting = tonumber(values[4] or 0),
        bytes = tonumber(values[5] or 0),
        gone = values[6] == "1",
        freed = values[7] == "1",
        lost = tonumber(values[8] or 0),
    }
    turns.had_waiting = turns.waiting > 0
    return turns
end

local function save(turns)
    local stays = kept
    if turns.gone then
        stays = (turns.lease or turns.waiting > 0) and lease + life or life
    end
    -- A write that takes no memory comes first: a full Redis refuses a script at its first write only, and a message
    -- that was taken has made room for its turn.
    redis.call("PEXPIRE", turns.key, text(stays / 1000))
    redis.call(
        "HSET", turns.key,
        "next", text(turns.next),
        "lease", turns.lease and text(turns.lease) .. " " .. turns.token or "",
        "since", turns.since and text(turns.since) or "",
        "waiting", turns.waiting,
        "bytes", turns.bytes,
        "gone", turns.gone and "1" or ""
    )
    if turns.is_new then
        redis.call("PEXPIRE", turns.key, text(stays / 1000))
    end
    if turns.waiting > 0 then
        redis.call("ZADD", KEYS[2], text(turns.lease or turns.since + patience), turns.client)
        redis.call("PEXPIRE", KEYS[2], text(math.max(kept, lease) / 1000))
    elseif turns.had_waiting then
        redis.call("ZREM", KEYS[2], turns.client)
    end
end

local function freed_key(turns)
    return prefix .. "freed:" .. turns.client
end

local function waiting_orders(turns)
    local orders = {}
    if turns.waiting > 0 then
        for _, field in ipairs(redis.call("HKEYS", turns.key)) do
            orders[#orders + 1] = tonumber(field)
        end
    end
    table.sort(orders)
    return orders
end

local function put_back(turns, order)
    local waiting = redis.call("HGET", turns.key, text(order))
    if not waiting then
        return
    end
    redis.call("HDEL", turns.key, text(order))
    turns.waiting = turns.waiting - 1
    turns.bytes = turns.bytes - #waiting
    local line_end = string.find(waiting, "\n", 1, true)
    local slight, channel, token = string.match(string.sub(waiting, 1, line_end - 1), "^(.)(%S+) (.*)$")
    local queue = prefix .. "queue:" .. channel
    redis.call("LPUSH", queue, string.format("%016.0f", now + life) .. string.sub(waiting, line_end + 1))
    redis.call("PEXPIRE", queue, text(life / 1000))
    local bell = prefix .. "bell:" .. channel
    if redis.call("EXISTS", bell) == 0 then
        redis.call("RPUSH", bell, "1")
        redis.call("EXPIRE", bell, 86400)
    end
    if slight == "s" and token ~= "" then
        if not turns.freed then
            turns.freed = true
            redis.call("HSET", turns.key, "freed", "1")
        end
        redis.call("SADD", freed_key(turns), token)
        redis.call("PEXPIRE", freed_key(turns), text(life / 1000))
    end
end

-- The next turn is that of `order`, or of the first later one that is not lost.
local function give_turn(turns, order)
    while turns.lost > 0 and redis.call("HDEL", turns.key, "lost:" .. text(order)) == 1 do
        turns.lost = turns.lost - 1
        redis.call("HSET", turns.key, "lost", turns.lost)
        order = order + 1
    end
    local first = turns.next == 0 and order > 0
    turns.next = order
    turns.lease = nil
    if first then
        local orders = waiting_orders(turns)
        for position = #orders, 1, -1 do
            if redis.call("HGET", turns.key, text(orders[position])):sub(1, 1) == "s" then
                put_back(turns, orders[position])
            end
        end
    end
    put_back(turns, order)
    turns.since = turns.waiting > 0 and now or nil
end

-- Passes over a turn that nobody takes, or that does not end. `arriving` is the order of a message that is about
-- to wait.
local function go_on(turns, arriving)
    local first, reason = turns.next, nil
    if turns.lease and turns.lease <= now then
        reason = "lease"
        give_turn(turns, turns.next + 1)
    elseif not turns.lease and turns.since and turns.since + patience <= now then
        local lowest = waiting_orders(turns)[1]
        if arriving and arriving >= turns.next and (not lowest or arriving < lowest) then
            lowest = arriving
        end
        if lowest and lowest > turns.next then
            reason = "gap"
            give_turn(turns, lowest)
        end
    end
    if reason then
        passed_over[#passed_over + 1] = { turns.client, text(first), text(turns.next - 1), reason }
    end
end

local function wake_another()
    local due = redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", text(now), "LIMIT", 0, 1)[1]
    if not due or due == client then
        return
    end
    local key = prefix .. "turns:" .. due
    if redis.call("EXISTS", key) == 0 then
        redis.call("ZREM", KEYS[2], due)
        return
    end
    local turns = load(key, due)
    go_on(turns)
    save(turns)
end

local function enter(turns, order, slight, channel, message, token, most, most_bytes)
    go_on(turns, order)
    if slight and turns.next > 0 then
        if turns.freed and redis.call("SISMEMBER", freed_key(turns), token) == 1 then
            return "waits"
        end
        return "run"
    end
    local again = token ~= "" and token == turns.token
    if order < turns.next or order == turns.next and turns.lease and not again then
        return "passed"
    end
    if order == turns.next then
        turns.lease = now + lease
        turns.token = token
        turns.since = nil
        return "run"
    end
    if redis.call("HEXISTS", turns.key, text(order)) == 1 then
        return "waits"
    end
    local waiting = (slight and "s" or "o") .. channel .. " " .. token .. "\n" .. message
    if turns.waiting >= most or turns.bytes + #waiting > most_bytes then
        return "full"
    end
    redis.call("HSET", turns.key, text(order), waiting)
    turns.waiting = turns.waiting + 1
    turns.bytes = turns.bytes + #waiting
    if not turns.lease and not turns.since then
        turns.since = now
    end
    return "wait"
end

local step, order, verdict = ARGV[7], tonumber(ARGV[8] or ""), ""
if step == "end" and ARGV[10] ~= "" and redis.call("GET", KEYS[3]) ~= ARGV[10] then
    return "held"
end
if step == "enter" and KEYS[4] and not redis.call("ZSCORE", KEYS[3], ARGV[15])
    and redis.call("GET", KEYS[4]) == ARGV[16] then
    return "lapsed"
end
if step == "enter" or step == "release" then
    wake_another()
end
if step == "enter" then
    local turns = load(KEYS[1], client)
    local slight, channel, message, token = ARGV[9] == "1", ARGV[10], ARGV[11], ARGV[12]
    verdict = enter(turns, order, slight, channel, message, token, tonumber(ARGV[13]), tonumber(ARGV[14]))
    save(turns)
elseif step == "resume" then
    local turns = load(KEYS[1], client)
    local is_behind = order > turns.next and (turns.next == 0 or ARGV[9] == "1")
    if is_behind and not turns.lease then
        -- This server has lost the state of the client. A message that a worker had taken may wait already.
        local lowest = waiting_orders(turns)[1]
        verdict = turns.next > 0 and "forward" or ""
        give_turn(turns, lowest and lowest < order and lowest or order)
        save(turns)
    end
elseif step == "lose" then
    local turns = load(KEYS[1], client)
    if order >= turns.next then
        if redis.call("HSETNX", KEYS[1], "lost:" .. text(order), "1") == 1 then
            turns.lost = turns.lost + 1
            redis.call("HSET", KEYS[1], "lost", turns.lost)
        end
        if order == turns.next then
            give_turn(turns, order)
        end
    end
    save(turns)
elseif redis.call("EXISTS", KEYS[1]) == 1 then
    local turns = load(KEYS[1], client)
    if step == "release" then
        if turns.gone and not turns.lease and turns.waiting == 0 then
            return answer_of(verdict) -- it was released before, and is not to be kept for longer
        end
        turns.gone = true
        go_on(turns)
    elseif step == "end" then
        -- A later message has had its turn already: this server has lost the ends of the turns before it.
        if turns.lease and order == turns.next or order > turns.next then
            give_turn(turns, order + 1)
        end
        turns.gone = turns.gone or ARGV[9] == "1"
    elseif step == "renew" then
        if turns.lease and order == turns.next and ARGV[9] == turns.token then
            turns.lease = now + lease
        end
    elseif turns.lease and order == turns.next and (ARGV[10] == "1" or ARGV[9] == turns.token) then
        turns.lease = nil
        turns.since = turns.waiting > 0 and now or nil
    end
    save(turns)
end
return answer_of(verdict)

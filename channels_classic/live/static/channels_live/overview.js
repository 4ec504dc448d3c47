(() => {
  "use strict";

  const ASK_MS = 2000;
  const LONGEST_PAUSE_MS = 10000;
  // For each table its title, and its columns: key, title, whether it is a number.
  const TABLES = {
    processes: ["Processes", [["kind", "Process"], ["host", "Host"], ["pid", "PID", true], ["age", "Age", true],
      ["sockets", "Sockets", true], ["received_per_second", "Received/s", true], ["sent_per_second", "Sent/s", true]]],
    channels: ["Channels", [["channel", "Channel"], ["waiting", "Waiting", true], ["oldest", "Oldest", true],
      ["per_second", "Messages/s", true], ["full", "Full", true]]],
    consumers: ["Slowest consumers", [["consumer", "Consumer"], ["calls", "Calls", true],
      ["mean_milliseconds", "Mean ms", true], ["seconds", "Seconds in all", true], ["errors", "Errors", true]]],
    errors: ["Errors of the last ten minutes", [["time", "At"], ["consumer", "Consumer"], ["error", "Error"],
      ["process", "In"]]],
    groups: ["Largest groups", [["group", "Group"], ["members", "Members", true],
      ["processes", "Interface servers", true]]],
  };

  const root = document.getElementById("channels-live");
  const state = root.querySelector(".state");
  let pause = 500;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const duration = (seconds) => {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
    }
    return `${seconds} s`;
  };

  const shown = (key, value, row) => {
    if (key === "members") return `${row.at_least ? "≥ " : ""}${value.toLocaleString()}`;
    if (key === "age") return duration(value);
    if (key === "oldest") return value ? `${value} s` : "–";
    if (key === "pid") return value;
    if (key === "time") return new Date(value * 1000).toLocaleTimeString();
    return typeof value === "number" ? value.toLocaleString() : value;
  };

  const tell = (text, className) => {
    if (state.textContent !== text) state.textContent = text;
    state.className = `state ${className}`;
  };

  const show = (found) => {
    const workers = found.processes.filter((each) => each.kind === "worker").length;
    const waiting = found.channels.reduce((sum, each) => sum + each.waiting, 0);
    const figures = [["Sockets", found.sockets], ["Workers", workers, !workers], ["Waiting messages", waiting],
      ["Errors", found.errors.length, found.errors.length], ["Dead letters", found.dead_letters, found.dead_letters]];
    root.querySelector(".figures").replaceChildren(...figures.map(([title, value, bad]) => {
      const box = element("div", undefined, bad ? "bad" : "");
      box.append(element("dt", title), element("dd", value.toLocaleString()));
      return box;
    }));
    root.querySelector(".tables").replaceChildren(...Object.entries(TABLES).filter(([name]) => found[name].length)
      .map(([name, [title, columns]]) => {
        const section = element("section");
        const scroll = element("div", undefined, "scroll");
        const table = element("table");
        const head = table.createTHead().insertRow();
        for (const [, heading, isNumber] of columns) {
          const cell = element("th", heading, isNumber ? "number" : "");
          cell.scope = "col";
          head.append(cell);
        }
        const body = table.createTBody();
        for (const row of found[name]) {
          const line = body.insertRow();
          for (const [key, heading, isNumber] of columns) {
            const cell = element("td", shown(key, row[key], row), isNumber ? "number" : "");
            cell.dataset.title = heading;
            line.append(cell);
          }
        }
        scroll.append(table);
        section.append(element("h2", title), scroll);
        if (name === "groups" && found.group_count > found.groups.length) {
          const others = (found.group_count - found.groups.length).toLocaleString();
          const all = found.memberships.toLocaleString();
          section.append(element("p", `… and at least ${others} more groups. All groups have ${all} members.`, "help"));
        }
        return section;
      }));
  };

  const open = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/channels-live/`);
    let timer;
    const ask = () => { if (!document.hidden) socket.send("look"); };
    socket.onopen = () => { ask(); timer = setInterval(ask, ASK_MS); };
    socket.onmessage = (event) => {
      pause = 500;
      tell("Live", "live");
      show(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      clearInterval(timer);
      if (event.code === 4403) {
        tell("You may not see this any more.", "lost");
        return;
      }
      tell("Not connected. Trying again … (Is channels_classic.live.routing included in your routing?)", "lost");
      setTimeout(open, pause);
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    };
  };
  open();
})();

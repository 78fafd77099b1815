// The columns of the tables of GPUs and hosts: what a cell shows of a device. Pure.
// A column has: title, field (of a device, which the threshold of a rule is compared with), lines: [{metric, stat, colour}], band (whether the first line has one), scale(devices, range) →
// [least, most], where `range` is that of all its lines, scaleText(scale), parts(device): [{number, unit, label}] of the
// large figure, note(device), share(device) of the bar in percent or null, and format(value) for values of its lines.

import { SPACE, compact, percent, significant, text } from "../page/format.js";

const isKnown = (value) => value !== null && value !== undefined;
const ratio = (value, of) => (isKnown(value) && of > 0 ? (100 * value) / of : null);
const celsius = (value) => ({ number: isKnown(value) ? value.toFixed(0) : "—", unit: isKnown(value) ? "°C" : "" });
// 467 kB/s: the prefix belongs to the unit.
const bytes = (value) => {
  const { number, unit } = compact(value, "B/s");
  return { number, unit: unit.replace(SPACE, "") };
};
// The end of a scale without trailing zeros.
const round = (value) => String(Number(value.toPrecision(3)));
const whole = (value, unit) => ({ number: isKnown(value) ? Math.round(value).toLocaleString("en-US") : "—", unit: isKnown(value) ? unit : "" });
const highest = (devices, read) => Math.max(0, ...devices.map(read).filter(isKnown));

// A scale's end that is easy to read: 1, 2, 5 times a power of ten.
export function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].find((factor) => factor * power >= value * 0.9999) * power;
}

const PERCENT = { scale: () => [0, 100], scaleText: () => "0 – 100 %", format: (value) => text(percent(value)) };
const average = (metric) => [{ metric, stat: "avg", colour: "series-1" }];

function memory({ used, total, unit, scaled }, metric, title = "Memory") {
  return {
    ...PERCENT, title, field: "memory_percent", lines: average(metric),
    parts: (device) => [isKnown(device[used])
      ? { number: significant(device[used] / scaled), unit: total && isKnown(device[total]) ? `${unit} of ${significant(device[total] / scaled)}` : unit }
      : percent(device.memory_percent)],
    note: (device) => (isKnown(device[used]) && isKnown(device.memory_percent) ? text(percent(device.memory_percent)) : ""),
    share: (device) => device.memory_percent,
  };
}

// Reasons for which a clock is low although nothing is wrong. The sampler does not send them, but other senders may.
const HARMLESS = ["gpu_idle", "sw_power_cap"];

export function throttleText(reasons) {
  if (!Array.isArray(reasons)) return "";
  const real = reasons.map((reason) => String(reason)).filter((reason) => !HARMLESS.includes(reason.toLowerCase()));
  return real.length ? `▲ ${real.map((reason) => reason.replaceAll("_", " ")).join(", ")}` : "not throttled";
}

export const GPU_COLUMNS = [
  {
    ...PERCENT, title: "Utilisation", field: "utilization_percent", band: true, change: "points", lines: average("gpu.utilization_percent"),
    parts: (gpu) => [percent(gpu.utilization_percent)], note: () => "", share: (gpu) => gpu.utilization_percent,
  },
  memory({ used: "memory_used_mb", total: "memory_total_mb", unit: "GiB", scaled: 1024 }, "gpu.memory_percent"),
  {
    title: "Temperature", field: "temperature", band: true, lines: average("gpu.temperature"), format: (value) => text(celsius(value)),
    scale: (gpus, range) => [20, Math.max(100, range?.[1] ?? 0)], scaleText: ([least, most]) => `${least} – ${Math.round(most)} °C`,
    parts: (gpu) => [celsius(gpu.temperature)], note: () => "", highest: true, share: (gpu) => ratio(gpu.temperature - 20, 80),
  },
  {
    title: "Power", field: "power_draw_watts", band: true, lines: average("gpu.power_draw_watts"), format: (value) => text(whole(value, "W")),
    scale: (gpus, range) => [0, niceCeiling(Math.max(highest(gpus, (gpu) => gpu.power_limit_watts), range?.[1] ?? 0))],
    scaleText: ([, most]) => `0 – ${Math.round(most)} W`, limit: (gpu) => gpu.power_limit_watts,
    parts: (gpu) => [whole(gpu.power_draw_watts, "W")],
    note: (gpu) => (isKnown(gpu.power_limit_watts) && isKnown(gpu.power_draw_watts)
      ? `${text(percent(ratio(gpu.power_draw_watts, gpu.power_limit_watts)))} of ${Math.round(gpu.power_limit_watts)}` : ""),
    share: (gpu) => ratio(gpu.power_draw_watts, gpu.power_limit_watts),
  },
  {
    title: "SM clock", band: true, lines: average("gpu.sm_clock_mhz"), format: (value) => text(whole(value, "MHz")),
    scale: (gpus, range) => [0, niceCeiling(range?.[1] ?? 0)], scaleText: ([, most]) => `0 – ${round(most / 1000)} GHz`,
    parts: (gpu) => [whole(gpu.sm_clock_mhz, "MHz")], note: (gpu) => throttleText(gpu.throttle_reasons), share: () => null,
  },
];

export const HOST_COLUMNS = [
  {
    ...PERCENT, title: "CPU", field: "cpu_percent", band: true, change: "points", lines: average("system.cpu_percent"),
    parts: (host) => [percent(host.cpu_percent)], note: () => "", share: (host) => host.cpu_percent,
  },
  memory({ used: "memory_used_gb", total: "memory_total_gb", unit: "GiB", scaled: 1 }, "system.memory_percent"),
  {
    title: "Load, 1 min", band: true, lines: average("system.load_1m"), format: (value) => text(compact(value)),
    scale: (hosts, range) => [0, niceCeiling(Math.max(range?.[1] ?? 0, 1))], scaleText: ([, most]) => `0 – ${round(most)}`,
    parts: (host) => [compact(host.load_average?.[0])], note: (host) => (host.cpu_count ? `of ${round(host.cpu_count)} cores` : ""),
    share: (host) => ratio(host.load_average?.[0], host.cpu_count),
  },
  {
    title: "Network", format: (value) => text(bytes(value)),
    lines: [
      { metric: "system.network_bytes_recv", stat: "rate", colour: "series-1", label: "in" },
      { metric: "system.network_bytes_sent", stat: "rate", colour: "series-2", label: "out" },
    ],
    scale: (hosts, range) => [0, niceCeiling(range?.[1] ?? 0)], scaleText: ([, most]) => `0 – ${text(bytes(most)).replace(/\.0+(?=\D)/, "")}`,
    parts: (host, newest) => newest.map((value, index) => ({ ...bytes(value), label: ["in", "out"][index] })), note: () => "", share: () => null,
  },
  {
    title: "Disk", format: (value) => text(bytes(value)),
    lines: [
      { metric: "system.disk_read_bytes", stat: "rate", colour: "series-1", label: "read" },
      { metric: "system.disk_write_bytes", stat: "rate", colour: "series-2", label: "write" },
    ],
    scale: (hosts, range) => [0, niceCeiling(range?.[1] ?? 0)], scaleText: ([, most]) => `0 – ${text(bytes(most)).replace(/\.0+(?=\D)/, "")}`,
    parts: (host) => [{ ...percent(host.disk_percent), label: isKnown(host.disk_percent) ? "used" : "" }], note: () => "", share: (host) => host.disk_percent,
  },
];

// Values of the machines in a tick.

export function average(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

// The machines of the newest tick that pass the filter.
export function chosenHosts(page) {
  const chosen = page.filters.host ?? [];
  const hosts = page.tick?.hosts ?? page.data.current?.hosts ?? [];
  return hosts.filter((host) => !chosen.length || chosen.includes(host.host));
}

// Those of them that are not down.
export const runningHosts = (page) => chosenHosts(page).filter((host) => host.state !== "down");

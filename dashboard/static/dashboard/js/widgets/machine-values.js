// Figures of machines out of a tick.

export const known = (values) => values.filter((value) => value !== null && value !== undefined);

export function mean(values) {
  const found = known(values);
  return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
}

// The machines of the newest tick that are up and chosen.
export function hostsShown(page) {
  const chosen = page.filters.host ?? [];
  return allHosts(page).filter((host) => host.state !== "down" && (!chosen.length || chosen.includes(host.host)));
}

export function allHosts(page) {
  return page.tick?.hosts ?? page.data.current?.hosts ?? page.data.hosts ?? [];
}

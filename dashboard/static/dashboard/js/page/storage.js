// What this browser remembers: JSON in localStorage. Without access to the storage, it lasts until the page is closed.

const withoutStorage = new Map();

export function recall(key, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? withoutStorage.get(key) ?? otherwise;
  } catch {
    return withoutStorage.get(key) ?? otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    withoutStorage.set(key, value);
  }
}

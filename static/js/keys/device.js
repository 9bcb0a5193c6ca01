/*
 * The key on this computer: IndexedDB "medisetup", store "keys", one record per person. The key in it signs and
 * cannot be exported. It is a cache: browsers and people clear it, and then the file is opened again.
 */

const DATABASE = "medisetup";
const STORE = "keys";

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new DOMException("blocked", "AbortError"));
  });

const finished = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });

async function openDatabase() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  const database = await settled(request);
  database.onversionchange = () => database.close();
  return database;
}

async function withStore(mode, work) {
  const database = await openDatabase();
  try {
    const transaction = database.transaction(STORE, mode);
    const done = finished(transaction);
    const [result] = await Promise.all([settled(work(transaction.objectStore(STORE))), done]);
    return result;
  } finally {
    database.close();
  }
}

/** Whether this window keeps records at all (a private window may not). */
export async function deviceKeeps() {
  return withStore("readonly", (store) => store.count()).then(() => true, () => false);
}

/** The signing key of this person with this fingerprint, or null. */
export async function loadDeviceKey(user, fingerprint) {
  const record = await withStore("readonly", (store) => store.get(user)).catch(() => null);
  return record?.v === 1 && record.fingerprint === fingerprint ? record.sign : null;
}

/** Keep the key; true when it was kept. A key that could be exported is refused with a TypeError. */
export async function saveDeviceKey(user, fingerprint, sign) {
  if (sign.extractable || sign.type !== "private") throw new TypeError("device key must not be exportable");
  const record = { v: 1, fingerprint, sign, savedAt: new Date().toISOString() };
  const kept = await withStore("readwrite", (store) => store.put(record, user)).then(() => true, () => false);
  // Never awaited: one browser leaves this promise pending until its question is answered.
  if (kept) navigator.storage?.persist?.()?.catch(() => undefined);
  return kept;
}

/** Forget the key of this person on this computer. */
export async function forgetDeviceKey(user) {
  return withStore("readwrite", (store) => store.delete(user)).then(() => true, () => false);
}

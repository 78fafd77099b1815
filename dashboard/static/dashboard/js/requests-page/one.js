// The entry script of the page of one request.

import { startPage } from "../frame/start.js";
import { fillIn } from "./marked.js";

startPage({ detail: (root, page) => {
  fillIn(root);
  page.topics.on("theme", () => fillIn(root));
} });

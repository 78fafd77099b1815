// The dialog of annotations: those of the page's time range, and a form for a new one.

import { annotationsOf, subjectOf } from "../charts/annotation-lines.js";
import { announce } from "../page/announce.js";
import { addAnnotation, deleteAnnotation, signInUrl } from "../page/api.js";
import { element, find, setText } from "../page/dom.js";
import { moment, zoneName } from "../page/format.js";
import { instantOf, localText } from "../page/local-time.js";

// Whether an annotation belongs to a page with these filters, as the server decides it.
export function belongs({ model_name: model, host }, filters) {
  const isIn = (value, chosen) => !value || !chosen || [chosen].flat().includes(value);
  return isIn(model, filters.model) && isIn(host, filters.host);
}

export function mountAnnotations(page) {
  const dialog = find("#annotations-dialog");
  const form = find("form.new-annotation", dialog);
  const problem = find(".form-problem", form);
  const list = find("[data-list]", dialog);
  const mayAnnotate = page.data.can.includes("operate");
  let opened = null; // the time in the form when it was opened with the current time, which the server sets if it is unchanged

  const show = (text) => {
    problem.hidden = !text;
    setText(problem, text);
  };
  const showAll = (annotations) => page.showFigures({ annotations: annotations.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at) || b.id - a.id) });
  const act = async (request, done) => {
    show("");
    try {
      done(await request());
      return true;
    } catch (failure) {
      if (failure.status === 401) location.assign(signInUrl());
      else show(failure.message);
      return false;
    }
  };
  const remove = (annotation) => act(() => deleteAnnotation(annotation.id).catch((failure) => {
    if (failure.status !== 404) throw failure; // somebody else has deleted it
  }), () => {
    showAll(page.data.annotations.filter(({ id }) => id !== annotation.id));
    announce("The annotation is deleted.");
    form.elements.text.focus();
  });
  const item = (annotation) => element("li", {},
    element("div", {}, element("bdi", { class: "annotation-text" }, annotation.text),
      element("span", { class: "sub" }, `${moment(annotation.time, true)} · ${subjectOf(annotation)}`)),
    mayAnnotate ? element("button", { type: "button", class: "button", "aria-label": `Delete: ${annotation.text}`, on: { click: () => remove(annotation) } }, "Delete") : null);
  const draw = () => {
    if (!dialog.open) return;
    const { from, to } = page.window;
    const shown = annotationsOf(page).filter(({ time }) => time >= from && time <= to);
    const key = JSON.stringify(shown);
    if (list.dataset.drawn === key) return; // a button keeps the focus while nothing changes
    list.dataset.drawn = key;
    list.replaceChildren(...shown.map(item));
    find("[data-none]", dialog).hidden = shown.length > 0;
  };

  find("#annotations").addEventListener("click", () => {
    const { time, pinned } = page.cursor;
    form.elements.at.value = localText(pinned ? time : page.now());
    opened = pinned ? null : form.elements.at.value;
    setText(find(".zone", form), zoneName(page.now()));
    find("datalist", form).replaceChildren(...(page.data.options?.model?.choices ?? []).map(({ value }) => new Option(value, value)));
    show("");
    dialog.showModal();
    draw();
  });
  form.hidden = !mayAnnotate;
  const signIn = find("[data-sign-in]", dialog);
  signIn.hidden = mayAnnotate;
  find("a", signIn).href = signInUrl();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { text, kind, at, model } = form.elements;
    const time = at.value === opened ? null : new Date(instantOf(at.value)).toISOString();
    const body = { text: text.value, kind: kind.value, model_name: model.value.trim(), at: time };
    const isAdded = await act(() => addAnnotation(body), (added) => {
      const { from, to } = page.window;
      const isShown = belongs(added, page.filters) && Date.parse(added.at) >= from && Date.parse(added.at) <= to + 1000;
      if (isShown) showAll([added, ...page.data.annotations]);
      announce(isShown ? "The annotation is added." : "The annotation is added. It is outside of the time range or the filters of this page.");
    });
    if (!isAdded) return;
    form.reset();
    dialog.close();
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
}

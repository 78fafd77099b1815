// The marks of alert rules, see alert-marks.js, with the spans of the alerts for one model: for a chart of that model. Pure.

export const marksOfModel = (marks, model) => marks.map((mark) => ({ ...mark, firing: [], pending: [], ...mark.by_model?.[model] }));

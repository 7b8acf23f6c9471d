"""Models that match learners with courses: plain Python and NumPy, torch only in `training`.

For the code around it:

    users, items = IdMap.from_ids(user_ids), IdMap.from_ids(item_ids)          # core.data
    interactions = Interactions.build(users=users, items=items, user_rows=..., item_rows=...,
                                      weights=..., values=..., times=..., kinds=...)
    fitted = fit_auto(interactions, AutoConfig(), FitOptions(seed=0, on_progress=tell))
                                                    # core.training.auto; workers only
    fitted.model, fitted.metrics, fitted.chosen     # {"ndcg@10": ..., ...} on validation
    model = make_trainer("ials", {"factors": 64}).fit(interactions, FitOptions())
                                                    # core.training.registry; one named model
    save_artifact(model, folder, {"metrics": ..., "data_hash": interactions.data_hash()})
    model = load_artifact(folder)                   # core.artifacts; NumPy only, memory-mapped

    history = History.of(model.items.rows(ids), weights, times)   # oldest first; -1 is unknown
    scores = model.score_one(history)                             # float32 [items]
    rows = top_k(scores, 20, exclude=seen_rows)                   # core.serving
    shares = model.contributions(history, rows)                   # float32 [rows, history]
    rows, scores = model.similar(item_rows, 10)                   # [n, 10], row -1 is padding
    model.items.ids(rows)

Errors are in `core.errors`, all under `CoreError`.
"""

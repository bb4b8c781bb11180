use super::permissions;

#[test]
fn permissions_cover_the_objects_below_the_prefix_and_the_list_of_the_bucket() {
    let needed: Vec<_> = permissions("b", "jobs")
        .into_iter()
        .map(|need| format!("{} {}", need.action, need.resource))
        .collect();
    let objects = "arn:aws:s3:::b/jobs/*";
    assert_eq!(
        needed,
        [
            format!("s3:GetObject {objects}"),
            format!("s3:PutObject {objects}"),
            format!("s3:DeleteObject {objects}"),
            "s3:ListBucket arn:aws:s3:::b".to_owned()
        ]
    );
}

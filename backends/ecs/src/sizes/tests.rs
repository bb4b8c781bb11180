use super::{ResourceReservation, Size, misfit, not_on_fargate};

fn size(cpu: u32, memory: u32) -> Size {
    Size { cpu: Some(cpu), memory: Some(memory) }
}

#[test]
fn fargate_accepts_exactly_the_sizes_of_its_table() {
    for (cpu, memory) in
        [(256, 512), (256, 2_048), (512, 4_096), (4_096, 30_720), (8_192, 20_480), (16_384, 122_880)]
    {
        assert_eq!(not_on_fargate(size(cpu, memory)), None, "{cpu} {memory}");
    }
    for (cpu, memory, field) in [
        (256, 8_192, "memory"),
        (256, 1_536, "memory"),
        (512, 512, "memory"),
        (8_192, 17_408, "memory"),
        (300, 512, "cpu"),
        (32_768, 65_536, "cpu"),
    ] {
        assert_eq!(not_on_fargate(size(cpu, memory)).unwrap().0, field, "{cpu} {memory}");
    }
    assert_eq!(not_on_fargate(Size { cpu: Some(256), memory: None }), None);
    assert_eq!(not_on_fargate(Size { cpu: None, memory: Some(600) }).unwrap().0, "memory");
    assert_eq!(not_on_fargate(Size::default()), None);
}

#[test]
fn containers_must_fit_alone_and_together() {
    let need = |name: &str, cpu: i32, memory: i32| ResourceReservation {
        name: name.to_owned(),
        cpu: Some(cpu),
        memory: Some(memory),
        memory_reservation: None,
    };
    assert_eq!(misfit(size(256, 512), &[need("a", 128, 256), need("b", 128, 256)]), None);
    let found = misfit(size(256, 512), &[need("a", 1, 1), need("b", 1, 4_096)]).unwrap();
    assert_eq!((found.container, found.field), (Some(1), "memory"));
    let found = misfit(size(256, 512), &[need("a", 200, 256), need("b", 200, 256)]).unwrap();
    assert_eq!((found.container, found.field), (None, "cpu"));
    assert_eq!(misfit(Size::default(), &[need("a", 9_999, 9_999)]), None);
    let reserving = ResourceReservation { memory_reservation: Some(100), ..need("a", 1, 500) };
    assert_eq!(misfit(size(256, 512), &[reserving, need("b", 1, 400)]), None);
}
